"""`m3dfel predict`: recognize what the faces in videos express, and when."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from m3dfel.cli.messages import print_error, print_problems, print_sentence
from m3dfel.cli.options import (
    MODEL,
    Parser,
    add_language,
    add_region,
    list_names,
    settings_of,
)
from m3dfel.config.ranges import PositiveFloat, PositiveInt
from m3dfel.errors import InputError
from m3dfel.plugins import PLUGINS
from m3dfel.recognition.settings import RecognizerSettings
from m3dfel.report.exports import DEFAULT_FORMATS

if TYPE_CHECKING:
    from m3dfel.batch.settings import PredictSettings


def parser() -> ArgumentParser:
    parser = Parser(
        lists=_formats,
        description="Recognize what the faces in videos express, and when. Writes for each video "
        "tables (CSV, Excel, Parquet), all details (JSON) and a timeline picture; for photos, one "
        "table of all, and contact sheets. Of several videos, those that cannot be read are listed "
        "(problems.csv; the exit status is then 1), all are summarized (summary.csv, summary.png), "
        "and the same command resumes where it left off.",
        epilog="Example: m3dfel predict holiday.mp4 --output predictions",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="videos, photos and folders of them; patterns such as '*.mp4'; or the URLs of videos, "
        "photos and folders of videos, such as https://… and s3://…",
    )
    parser.add_argument(
        "--model", default="bundled", help=f"{MODEL}, the model that comes with the package"
    )
    parser.add_argument("--output", default="predictions", help="folder for the results")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=list(DEFAULT_FORMATS),
        help="formats of the results, from the list below",
    )
    parser.add_argument(
        "--video",
        action="store_true",
        help="also write the video with boxes, emotions and a timeline drawn in (MP4)",
    )
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the frames already show one cropped face, as in face data sets: skip detection; the "
        "pictures in a folder are then the frames of one video",
    )
    parser.add_argument(
        "--fps",
        type=PositiveFloat,
        help="pictures are the frames of one video, with so many a second; without it, they are "
        "photos of their own",
    )
    add_region(parser)
    parser.add_argument("--person", type=PositiveInt, help="only the person with this number")
    parser.add_argument(
        "--persons",
        metavar="TABLE",
        help="a CSV file that says who is who: video, track, person; other tracks are assigned to "
        "persons automatically",
    )
    parser.add_argument(
        "--baseline",
        metavar="START,END",
        help="seconds in which the persons are at rest, or `neutral` for their first neutral "
        "seconds: subtract each person's resting expression from all answers; or `own`: subtract "
        "what the model sees in each person on average, where they show several emotions",
    )
    parser.add_class_arguments(RecognizerSettings)
    parser.add_argument(
        "--jobs",
        type=PositiveInt,
        help="videos predicted at the same time, each on one thread; default: one for each "
        "processor core, or 1 with another device than the CPU",
    )
    parser.add_argument(
        "--cluster",
        metavar="auto|ADDRESS",
        help="distribute several videos over a Ray cluster (extra `scale`): its address, or `auto` "
        "for the one this machine belongs to, or else this machine alone",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results that were made with other settings, and files that m3dfel did not "
        "write or that were changed since",
    )
    add_language(parser)
    return parser


def _formats() -> str:
    from m3dfel.report.exports import FORMATS

    return list_names("formats", {name: FORMATS[name].meaning for name in FORMATS})


def run(options: Namespace) -> int:
    from m3dfel.batch.settings import PredictSettings
    from m3dfel.predictions.baseline import Baseline
    from m3dfel.predictions.persons import PersonMap, parse_region
    from m3dfel.video.sources import find_sources

    settings = PredictSettings(
        output=options.output,
        # As separate words or joined by commas.
        formats=tuple(name for word in options.formats for name in word.split(",")),
        annotate=options.video,
        lang=options.lang,
        model=options.model,
        recognizer=settings_of(RecognizerSettings, options),
        aligned=options.aligned,
        fps=options.fps,
        region=options.region and parse_region(options.region),
        persons=PersonMap.read(options.persons) if options.persons else None,
        person=options.person,
        baseline=Baseline.parse(options.baseline) if options.baseline else None,
        plugins=tuple(PLUGINS),
    )
    found = find_sources(options.paths, one_video=options.aligned or options.fps is not None)
    if found.photos:
        _check_photos(found.photos, options)
    codes = [0]
    if found.photos:
        codes.append(_predict_photos(found.photos, settings, options.overwrite))
    if len(found.videos) == 1 and not _is_collection(options.paths, found.videos[0]):
        codes.append(_predict_one(found.videos[0], settings, options.overwrite))
    elif found.videos:
        codes.append(_predict_many(found.videos, settings, options))
    return max(codes)


def _check_photos(photos: list[str], options: Namespace) -> None:
    """Refuse what is said about persons, who are found over time."""
    for name in "person", "persons", "baseline":
        if options[name] is not None:
            raise InputError(
                f"--{name} is for videos, but {photos[0]} is a photo: name only videos, or say "
                "with --fps that the pictures are the frames of one"
            )


def _predict_photos(photos: list[str], settings: PredictSettings, overwrite: bool) -> int:
    from m3dfel.batch.photos import PHOTO_STEM, predict_photos
    from m3dfel.report.terminal import print_photos

    table, problems = predict_photos(photos, settings, overwrite)
    if len(table):
        print_photos(table, settings.lang)
    _print_written(settings, PHOTO_STEM)
    print_problems(problems)
    if problems:
        print_error(f"problems with {len(problems)} of {len(photos)} photos")
    if table["face"].isna().all():
        print_error("no face was found in the photos")
        return 2
    return 1 if problems else 0


def _is_collection(paths: list[str], source: str | list[str]) -> bool:
    """Return whether the user named a folder in which there happens to be one video."""
    named = {Path(path).expanduser() for path in paths}
    return isinstance(source, str) and source not in paths and Path(source) not in named


def _predict_one(source: str | list[str], settings: PredictSettings, overwrite: bool) -> int:
    from m3dfel.batch.folders import plan_videos
    from m3dfel.batch.predictor import VideoPredictor
    from m3dfel.files import check_replaceable
    from m3dfel.recognition.stream import leave_a_core_to_detection
    from m3dfel.report.terminal import print_spans
    from m3dfel.video.sources import source_path

    leave_a_core_to_detection()
    (video,), _ = plan_videos([source], settings)
    check_replaceable(video.files(settings).values(), overwrite)
    prediction = VideoPredictor(settings)(video, again=True)
    if prediction.clips.empty:
        print_error(prediction.note)
        return 2
    print_spans(prediction, source_path(prediction.source).name, settings.lang)
    _print_written(settings, video.stem)
    return 0


def _print_written(settings: PredictSettings, stem: str) -> None:
    from m3dfel.report.words import translate

    path = f"{Path(settings.output, stem)}.*"
    print_sentence(translate(settings.lang, "written: {path}", path=path))


def _predict_many(
    sources: list[str | list[str]], settings: PredictSettings, options: Namespace
) -> int:
    from m3dfel.batch.folders import PROBLEMS, Run, predict_in_processes, predict_videos
    from m3dfel.processes import usable_cores
    from m3dfel.report.terminal import print_people

    run_videos: Run
    if options.cluster:
        from m3dfel.batch.cluster import predict_on_cluster

        run_videos = partial(predict_on_cluster, address=options.cluster, jobs=options.jobs)
    else:
        from m3dfel.models.checkpoints import find_device

        jobs = options.jobs or (usable_cores() if find_device(options.device) == "cpu" else 1)
        run_videos = partial(predict_in_processes, jobs=jobs)
    outcomes, table = predict_videos(sources, settings, run_videos, options.overwrite)
    print_people(table, options.output, options.lang)
    problems = [outcome for outcome in outcomes if outcome.problem]
    names = [(outcome.video.name, outcome.problem) for outcome in problems]
    print_problems(text if name in text else f"{name}: {text}" for name, text in names)
    if problems:
        path = Path(options.output, PROBLEMS)
        print_error(f"problems with {len(problems)} of {len(outcomes)} videos: see {path}")
    if table["person"].isna().all():
        return 2
    return 0 if all(outcome.finished for outcome in outcomes) else 1
