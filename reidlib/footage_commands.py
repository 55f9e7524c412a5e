"""Commands for footage of one's own: what is known of the place, the whole pipeline, a search.

They are built as those in commands.py, and belong to the same program.
"""

import sys

from reidlib import assets
from reidlib import command_line as cli
from reidlib.training_commands import program, wrote
from reidlib.words import counted


@program.add("door.mp4 yard.mp4 --out site.toml")
def site(videos: cli.SomeVideos, out: cli.SiteFile) -> str:
    """Begin a site file: what is known of a place, with comments on what to fill in."""
    from reidlib.demonstration import site_file

    assets.check_writable(out)
    found = site_file.write(out, videos)
    wrote(out)
    no_clocks = "no clocks: their files do not say when they begin"
    if len(found.cameras) == 1:
        no_clocks = "no clock: its file does not say when it begins"
    clocks = "their clocks" if found.began else no_clocks
    cameras = counted(len(found.cameras), "camera")
    return f"{cameras} and {clocks}; fill in the rest, then demo --site {out}"


@program.add("--out demo", "the files finished so far are in {out}", people=True)
def demo(
    out: cli.Folder,
    videos: cli.Videos = None,
    site: cli.Site = None,
    start: cli.Starts = None,
    truth: cli.Truths = None,
    overlap: cli.Overlap = None,
    travel: cli.Travel = None,
    threshold: cli.Threshold = None,
    detector: cli.Detector = None,
    classes: cli.Classes = None,
    features: cli.Features = None,
    blur: cli.Blur = False,
    gate: cli.Gate = False,
    detect_every: cli.DetectEvery = 1,
    workers: cli.Workers = None,
    scheduler: cli.Scheduler = None,
    gallery: cli.Gallery = None,
    keep: int = 30,
) -> str:
    """Run the whole pipeline and write films, figures and a report.

    Options go before what a site file says.
    """
    import datetime

    from reidlib.demonstration import galleries, pipeline, provenance, search, site_file
    from reidlib.detection import detectors
    from reidlib.features import extractors

    described = site_file.read(site) if site else None
    clips = pipeline.clips(videos or [], truth or [], starts=start or [], site=described)
    known, names = clips[0].site, [clip.camera for clip in clips]
    pairs = [] if overlap == ["none"] else overlap
    ways = travel and [tuple(way.rpartition("=")[::2]) for way in travel]
    overlap, travel = site_file.between(names, pairs, ways)
    find = detectors.load(detector or known.detector, classes=classes or known.classes)
    embed = extractors.load(features or known.features)
    threshold = known.threshold if threshold is None else threshold
    if threshold is not None:
        embed.threshold = threshold
    assets.refuse_overwriting([site], [out / name for name in ("report.html", "metrics.json")])
    looks = {"gate": gate, "detect_every": detect_every}
    if workers is not None or scheduler is not None:
        from reidlib.demonstration import clips as many

        cli.several(names, workers, scheduler)
        assets.check_writable(out / "report.html")
        many.follow(clips, out / "followed", find, embed, workers, scheduler, blur=blur, **looks)
    looks |= {"overlap": overlap, "travel": travel}
    known = galleries.at(gallery, provenance.describe(embed, "features")) if gallery else None
    found = pipeline.run(clips, out, detector=find, extractor=embed, blur=blur, **looks)
    wrote(out / "report.html", out / "metrics.json")
    if known is not None:
        day = datetime.date.today() + datetime.timedelta(keep)
        added, struck = search.remember(out, known, day)
        instead = f" in place of {struck} that these results had there" if struck else ""
        print(f"added {counted(added, 'track')} to {gallery}{instead}")
        if galleries.is_file(gallery):
            known.save(gallery)
    cameras, shared = len(found["cameras"]), found["people in several cameras"]
    where = "one camera" if cameras == 1 else f"{cameras} cameras, {shared} of them in several"
    return f"{counted(found['people'], 'person', 'people')} in {where}; open {out / 'report.html'}"


@program.add("person.jpg demo --out found", people=True)
def search(
    picture: cli.Picture,
    results: cli.Tracked,
    out: cli.Folder,
    box: cli.Box = None,
    threshold: cli.Threshold = None,
    detector: cli.Detector = None,
    features: cli.Features = None,
) -> str:
    """Look for the person of a picture in all tracks that demo or extract wrote.

    That there is no hit below the threshold is a result.
    """
    from reidlib.demonstration import search

    tools = {"detector": detector, "features": features, "threshold": threshold}
    _, answer = search.run(picture, results, out, box=box, **tools)
    wrote(out / "search.html", out / "hits.csv")
    return f"{answer} Open {out / 'search.html'}"


@program.add("footage/report --labels pairs.csv --fmr 0.01 --site site.toml")
def threshold(
    folder: cli.Results,
    labels: cli.Labels,
    fmr: cli.Wanted = 0.01,
    site: cli.Site = None,
    test: cli.Test = False,
) -> str:
    """Choose a threshold by blind labels, keep it in a site file, or try the one that is there.

    Prints the false match rate and the false non-match rate, with intervals of 95 %.
    """
    from reidlib.demonstration import labelling

    said = labelling.decide(folder, labels, fmr, site, test)
    wrote(None if test else site)
    if site and not test:
        again = f"until demo --site {site} runs again; labels hold"
        print(f"note: {folder} is linked as before {again}", file=sys.stderr)
    return said
