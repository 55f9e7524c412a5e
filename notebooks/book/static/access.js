// What the theme's pages lack for those who read them by ear or by keys, as axe-core finds it.
for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = 2;
for (const summary of document.querySelectorAll("summary[aria-label]")) summary.removeAttribute("aria-label");
// What is wider than the page is scrolled with the arrow keys, once it can be reached by Tab.
for (const text of document.querySelectorAll("pre, .cell_output")) {
  if (text.scrollWidth > text.clientWidth) text.tabIndex = 0;
}
