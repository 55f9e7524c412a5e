// What the theme's pages lack for those who read them by ear or by keys, as axe-core finds it.
for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = 2;
for (const summary of document.querySelectorAll("summary[aria-label]")) summary.removeAttribute("aria-label");
for (const [side, name] of [[".sidebar-drawer", "The book"], [".toc-drawer", "This page"]]) {
  document.querySelector(side)?.setAttribute("aria-label", name);
}
// The corner of a table heads nothing.
for (const header of document.querySelectorAll("th")) {
  if (!header.textContent.trim()) header.setAttribute("role", "cell");
}
// What is wider than the page is scrolled with the arrow keys, once it can be reached by Tab.
function reachable() {
  for (const text of document.querySelectorAll("pre, .cell_output, .table-wrapper")) {
    if (text.scrollWidth > text.clientWidth) text.tabIndex = 0;
  }
}
reachable();
addEventListener("load", reachable);
addEventListener("resize", reachable);
