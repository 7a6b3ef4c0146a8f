"""The words of pictures, subtitles, videos and printed results, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence

from m3dfel.emotions import CHINESE
from m3dfel.video.marks import BLURRED, NO_FACE, TOO_SMALL, TURNED_AWAY, UNCERTAIN

_CHINESE = CHINESE | {
    UNCERTAIN: "不确定",
    TOO_SMALL: "人脸太小",
    TURNED_AWAY: "脸转开了",
    BLURRED: "模糊",
    NO_FACE: "无人脸",
    "unreadable": "无法识别",
    "person {n}": "人物 {n}",
    "evidence": "依据",
    "true target frames": "真正的目标帧",
    "changes/min": "次/分钟",
    "No face in {name}": "{name} 中没有人脸",
    "What the face in {name} expresses, moment by moment": "{name} 中的表情随时间的变化",
    "What the {n} people in {name} express, moment by moment": (
        "{name} 中 {n} 个人的表情随时间的变化"
    ),
    "Height: probability of each emotion. Strong color: the recognized emotion, where it is "
    "certain.\nEvidence: the emotion that each instance supports most; taller is stronger.": (
        "高度：每种表情的概率。实色：识别出的表情（确定时）。\n"
        "依据：每个片段最支持的表情，越高越强。"
    ),
    "What faces express in {n} videos": "{n} 个视频中的表情",
    "What faces express in one video": "一个视频中的表情",
    "Each bar: the time a person is in the picture, divided by what the face shows.": (
        "每一条：一个人出现在画面中的时间，按表情划分。"
    ),
    "Videos without a face: {n}.": "没有人脸的视频：{n} 个。",
    "brow inner up": "眉头上抬",
    "brow outer up": "眉梢上抬",
    "eye blink": "闭眼",
    "eye look down": "向下看",
    "eye squint": "眯眼",
    "eye wide": "睁大眼",
    "jaw open": "张嘴",
    "mouth pucker": "噘嘴",
    "mouth smile": "嘴角上扬",
    "mouth upper up": "上唇上抬",
    "person": "人物",
    "from s": "开始（秒）",
    "to s": "结束（秒）",
    "emotion": "表情",
    "confidence %": "置信度 %",
    "video": "视频",
    "video s": "时长（秒）",
    "seen s": "可见（秒）",
    "readable %": "可识别 %",
    "most of the time": "主要表情",
    "photos": "照片",
    "file": "文件",
    "face": "人脸",
    "{n} more rows": "另有 {n} 行",
    "all parts are of the time seen": "比例均按可见时间计算",
    "all details in {folder}/summary.*": "详细结果见 {folder}/summary.*",
    "written: {path}": "已写入：{path}",
}


def translate(lang: str, text: str, **values: object) -> str:
    """Return a word or sentence in a language; one that has no translation stays as it is.

    Args:
        lang: `en` or `zh`.
        text: in English, with names in braces for the values.
        **values: by name.

    Example:
        >>> from m3dfel.report.words import translate
        >>> translate("zh", "person {n}", n=2)
        '人物 2'
    """
    text = _CHINESE.get(text, text) if lang == "zh" else text
    return text.format(**values) if values else text


def words_for(lang: str, labels: Sequence[str]) -> dict[str, str]:
    """Return how the labels and everything else that a span can say are written."""
    words = [*labels, UNCERTAIN, TOO_SMALL, TURNED_AWAY, BLURRED, NO_FACE]
    return {word: translate(lang, word) for word in words}


def short_words(lang: str, labels: Sequence[str]) -> dict[str, str]:
    """Return the beginnings of the labels' names, where there is no room for more: all differ.

    Example:
        >>> from m3dfel.report.words import short_words
        >>> short_words("en", ["anger", "fear"])
        {'anger': 'an', 'fear': 'fe'}
        >>> short_words("en", ["anger", "anxiety"])
        {'anger': 'ang', 'anxiety': 'anx'}
    """
    names, length = words_for(lang, labels), 1 if lang == "zh" else 2
    distinct = len({names[label] for label in labels})
    while len({names[label][:length] for label in labels}) < distinct:
        length += 1
    return {label: names[label][:length] for label in labels}


def movement_words(name: str, lang: str) -> str:
    """Return the name of a movement as words.

    Example:
        >>> from m3dfel.report.words import movement_words
        >>> movement_words("mouthSmile", "en"), movement_words("mouthSmile", "zh")
        ('mouth smile', '嘴角上扬')
    """
    letters = (f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return translate(lang, "".join(letters))
