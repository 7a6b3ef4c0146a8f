"""The words of the page in English and Chinese, and which of the two a browser asks for."""

from __future__ import annotations

from typing import Literal, TypeAlias

from m3dfel.emotions import CHINESE

Language: TypeAlias = Literal["en", "zh"]

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "What faces express, and when",
        "lead": "Drop a video or record one. Each person gets a timeline that you can click.",
        "limits": "Up to {minutes} minutes and {mb} MB. "
        "Your video is deleted when you close this page.",
        "waiting": "Waiting until another video is finished",
        "reading": "Reading the faces",
        "drawing": "Drawing the results into the video",
        "seconds_left": "about {n} s left",
        "minutes_left": "about {n} min left",
        "stop": "Stop",
        "another": "Another video",
        "not_a_video": "This file cannot be read as a video. "
        "It may be damaged, contain only sound, or not be a video at all.",
        "too_long": "This video is longer than {minutes} minutes. Please choose a shorter one.",
        "too_large": "This file is larger than {mb} MB. Please choose a smaller one.",
        "no_face": "No face was found in this video. "
        "It works best with faces that are large and turned toward the camera.",
        "gone": "The video has been deleted in the meantime. Please choose it again.",
        "failed": "Something went wrong. Please try again; the log of the server has the details.",
        "person": "Person {n}",
        "seconds": "{n} s",
        "legend": "Height: probability. Strong color: the recognized emotion. "
        "Pale: less likely, or uncertain. Click to jump there.",
        "timeline": "Timeline of person {n}",
        "moments": "Clearest moments",
        "jump": "Jump to {time}: {emotion}",
        "more": "Show {n} more",
        "downloads": "Download",
        "video": "Annotated video",
        "csv": "Table (CSV)",
        "json": "All details (JSON)",
        "srt": "Subtitles (SRT)",
        "vtt": "Subtitles (VTT)",
        "eaf": "ELAN (EAF)",
        "purpose": "An estimate of what a face shows, not of what a person feels, and often wrong. "
        "Do not use it for decisions about people. In the European Union, inferring emotions of "
        "people at work and in education is prohibited, except for medical or safety reasons "
        "(AI Act, Article 5(1)(f)).",
    },
    "zh": {
        "title": "每张脸，何时露出怎样的表情",
        "lead": "拖入一段视频，或用摄像头录一段。每个人都会得到一条可以点击的时间线。",
        "limits": "视频最长 {minutes} 分钟，最大 {mb} MB。关闭本页后，视频会被删除。",
        "waiting": "正在等待另一个视频处理完毕",
        "reading": "正在识别表情",
        "drawing": "正在把结果画进视频",
        "seconds_left": "大约还需 {n} 秒",
        "minutes_left": "大约还需 {n} 分钟",
        "stop": "停止",
        "another": "换一个视频",
        "not_a_video": "无法将这个文件作为视频读取：它可能已损坏、只有声音，或者根本不是视频。",
        "too_long": "视频超过了 {minutes} 分钟，请换一个短一些的。",
        "too_large": "文件超过了 {mb} MB，请换一个小一些的。",
        "no_face": "没有在视频中找到人脸。人脸较大、正对镜头时效果最好。",
        "gone": "视频已被删除，请重新选择。",
        "failed": "处理时出错了，请重试。详情见服务器日志。",
        "person": "人物 {n}",
        "seconds": "{n} 秒",
        "legend": "高度表示概率。实色是识别出的表情，淡色表示可能性较小或不确定。点击即可跳转。",
        "timeline": "人物 {n} 的时间线",
        "moments": "表情最明显的瞬间",
        "jump": "跳转到 {time}：{emotion}",
        "more": "另外 {n} 人",
        "downloads": "下载",
        "video": "带标注的视频",
        "csv": "表格（CSV）",
        "json": "全部数据（JSON）",
        "srt": "字幕（SRT）",
        "vtt": "字幕（VTT）",
        "eaf": "ELAN 标注（EAF）",
        "purpose": "结果只是对面部表情的估计，不代表人的真实感受，而且常常会出错。"
        "请勿据此作出关于他人的决定。在欧盟，除医疗或安全目的外，"
        "禁止在工作场所和教育机构推断他人的情绪（《人工智能法案》第 5 条第 1 款 (f) 项）。",
        **CHINESE,
        "uncertain": "不确定",
        "too small": "人脸太小",
        "turned away": "脸转开了",
        "blurred": "模糊",
    },
}


def choose_language(accepted: str) -> Language:
    """Return the language for a browser's header `Accept-Language`: its first one, or English."""
    return "zh" if accepted.strip().lower().startswith("zh") else "en"


def translate(language: Language, word: str, **values: object) -> str:
    """Return a word or sentence of the page; a word that has no translation stays as it is."""
    return WORDS[language].get(word, word).format(**values)
