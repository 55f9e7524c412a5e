"""The commands for what comes after a run: what it is worth, and when it goes.

They are built as those in commands.py, and belong to the same program.
"""

from reidlib import command_line as cli
from reidlib.footage_commands import program, wrote
from reidlib.words import counted


@program.add("footage/report --dry-run", "what was deleted is gone; retention.csv lists the rest")
def forget(folders: cli.Due, on: cli.Day = None, dry_run: cli.DryRun = False) -> str:
    """Delete results whose time is over, as retention.csv in their folder says.

    Only files that a command wrote, and that nobody changed since, are deleted; of saved galleries
    the rows whose delete_after is over.
    """
    import datetime
    from pathlib import Path

    from reidlib.collection import privacy
    from reidlib.demonstration import galleries

    today = on or datetime.date.today()
    verb = "would delete" if dry_run else "deleted"
    files, rows, kept = 0, 0, []
    checks = [folder for folder in folders if not galleries.is_gallery(folder)]
    # All records are read before anything is deleted.
    days = [day for folder in checks for day in privacy.read_retention(folder)["delete_after"]]
    for folder in folders:
        if folder not in checks:
            gone = galleries.forget(folder, today, dry_run)
            rows += gone
            print(f"{verb} {counted(gone, 'row')} of {folder}")
            continue
        deleted, left = privacy.forget(Path(folder), today, dry_run)
        for path in deleted:
            print(f"{verb} {path}")
        files, kept = files + len(deleted), [*kept, *left]
    for sentence in kept:
        print(f"note: {sentence}")
    due = f"{counted(files, 'file')} and {counted(rows, 'row')} that were due on {today}"
    later = sorted(str(day) for day in days if str(day) >= str(today))
    first = f"; the next may be deleted after {later[0]}" if later else ""
    return f"{verb} {due}; {len(kept)} were left{first}"


@program.add("footage/report --labels pairs.csv --out card.html")
def evidence(folder: cli.Results, out: cli.Card, labels: cli.LabelFiles = None) -> str:
    """Write what results are worth: one page of what was recorded, labelled and measured."""
    from reidlib import assets
    from reidlib.demonstration import evidence as page

    targets = [out.with_suffix(".html"), out.with_suffix(".md")]
    kept = [folder / name for name in ("report.html", "metrics.json")]
    assets.refuse_overwriting([*(labels or []), *kept], targets)
    content = page.card(folder, labels or [])
    wrote(*page.write(out, content))
    return content["verdict"]


@program.add("footage/report --labels pairs.csv --line door=0,300,640,300 --out counts.csv")
def count(
    folder: cli.Results,
    out: cli.Table,
    labels: cli.LabelFiles = None,
    lines: cli.Lines = None,
) -> str:
    """Count visitors a camera and hour, how long they stay, and who crosses a line."""
    from reidlib import assets
    from reidlib.demonstration import counts, labelling, provenance
    from reidlib.features import vectors

    assets.refuse_overwriting([*(labels or []), folder / "features.csv"], [out])
    means, tracklets = vectors.read(folder / "features.npz")
    known = provenance.known_place(provenance.read(folder / "features.npz"))
    answers = labelling.read(labels[0]) if labels else None
    judged = labelling.measured(answers, tracklets, means, **known) if labels else None
    pairs = labelling.possible_pairs(tracklets, means, **known)
    people = counts.people(tracklets, pairs, judged)
    table = counts.table(tracklets, counts.at_lines(folder / "tracks", lines or []))
    with assets.atomic(out) as temporary:
        table.to_csv(temporary, index=False)
    wrote(out)
    print(f"note: {counts.LIMITS}")
    return counts.in_words(people)
