"""The words of the page in English and Chinese, and which of the two a browser asks for."""

from __future__ import annotations

from typing import Literal, TypeAlias

from m3dfel.emotions import CHINESE
from m3dfel.report.words import words_for

Language: TypeAlias = Literal["en", "zh"]

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "What faces express, and when",
        "lead": "Choose a video of people: each of them gets a timeline of expressions that you "
        "can click. Or choose photos.",
        "choose": "Choose a video or photos",
        "drop": "or drop them here",
        "record": "Record yourself",
        "example": "Try an example",
        "limits": "One video (MP4, MOV, WebM, AVI, MKV and others) of up to {minutes} minutes, or "
        "up to {photos} photos (JPEG, PNG, WebP and others); up to {mb} MB",
        "private_here": "Everything happens on this computer: what you choose is sent nowhere, and "
        "its copy here is deleted when you close this page.",
        "private_there": "Everything happens on the computer that serves this page. What you "
        "choose is sent there and nowhere else, and it is deleted when you close this page.",
        "outcome": "What you get",
        "outcome_person": "a timeline for each person, with a sentence that sums it up; of photos, "
        "an answer for each face",
        "outcome_files": "files to take away: the video with boxes, a picture of the timeline, "
        "tables, subtitles",
        "outcome_doubt": "the word “uncertain” where the model is not sure",
        "uploading": "Uploading",
        "cancel": "Cancel",
        "upload_failed": "The upload was cut off. Please try again.",
        "wrong_type": "“{name}” is neither a video nor a photo. "
        "Please choose a file such as MP4, MOV, JPEG or PNG.",
        "one_video": "Please choose one video, or up to {photos} photos.",
        "lost": "The connection to m3dfel is lost. Start “m3dfel app” again and reload this page.",
        "closed": "This result has been deleted, since its page was closed for a while. "
        "Please choose the file again.",
        "recorder": "Camera",
        "record_hint": "Look at the camera. A few seconds are enough.",
        "record_start": "Start recording",
        "record_stop": "Stop and analyze",
        "recording": "Recording: {time}",
        "no_camera": "The camera cannot be used: allow it in the browser, and open this page as "
        "localhost or over HTTPS.",
        "starting": "Starting",
        "waiting": "Waiting until other videos are finished: number {n} in the queue",
        "reading": "Reading the faces",
        "drawing": "Drawing the results into the video",
        "seconds_left": "about {n} s left",
        "minutes_left": "about {n} min left",
        "stop": "Stop",
        "another": "Choose another file",
        "unreadable": "This file cannot be read as a video or photo. "
        "It may be damaged, contain only sound, or be something else.",
        "unreadable_photos": "What could not be read as a photo: {names}.",
        "too_long": "This video is longer than {minutes} minutes. Please choose a shorter one.",
        "too_large": "This file is larger than {mb} MB. Please choose a smaller one.",
        "too_many_pixels": "The picture of this video is larger than 8K. "
        "Please choose a smaller one.",
        "no_face": "No face was found. "
        "It works best with faces that are large and turned toward the camera.",
        "failed": "Something went wrong. Please try again; the log of the server has the details.",
        "cut_off": "The file ends after {read} of {stated} s: it is cut off or damaged.",
        "result": "Result",
        "photos": "{n} photos",
        "people": "{n} people in {seconds} s",
        "person": "Person {n}",
        "all_the_time": "{word} all the time ({total} s)",
        "mostly": "Mostly {word} ({n} of {total} s)",
        "most_often": "Most often {word} ({n} of {total} s)",
        "then": ", then {word} ({n} s)",
        "no_emotion": "No certain expression in {total} s",
        "rest": "; {n} s {word}",
        "end": ".",
        "now": "now: {word}",
        "boxes": "Boxes and names",
        "legend": "Height: the model’s confidence. Strong color: the recognized expression. "
        "Pale: uncertain. Click to jump there.",
        "details": "Details",
        "movements": "What moves in the face",
        "movements_legend": "Height: from not at all to as far as it goes. Learned from the "
        "estimates of a face landmarker; no FACS coding.",
        "photo": "Photo",
        "face": "Face",
        "from": "From",
        "to": "To",
        "expression": "Expression",
        "confidence": "Model’s confidence",
        "timeline": "Timeline of person {n}",
        "moments": "Clearest moments",
        "downloads": "Download",
        "video": "Video",
        "png": "Picture",
        "xlsx": "Table (Excel)",
        "csv": "Table (CSV)",
        "zip": "All (ZIP)",
        "formats": "More formats",
        "json_purpose": "all details, for programs",
        "srt_purpose": "subtitles for video players",
        "vtt_purpose": "subtitles for web pages",
        "eaf_purpose": "annotations for ELAN",
        "boris_purpose": "events for BORIS",
        "purpose": "An estimate of what a face shows, not of what a person feels, and often wrong. "
        "Do not use it for decisions about people. In the European Union, inferring emotions of "
        "people at work and in education is prohibited, except for medical or safety reasons "
        "(AI Act, Article 5(1)(f)).",
    },
    "zh": {
        "title": "每张脸，何时露出怎样的表情",
        "lead": "选择一段有人物的视频：每个人都会得到一条可以点击的表情时间线。也可以选择照片。",
        "choose": "选择视频或照片",
        "drop": "或拖到这里",
        "record": "用摄像头录一段",
        "example": "看一个例子",
        "limits": "一段视频（MP4、MOV、WebM、AVI、MKV 等格式，最长 {minutes} 分钟），"
        "或最多 {photos} 张照片（JPEG、PNG、WebP 等格式）；总共不超过 {mb} MB",
        "private_here": "一切都在这台电脑上完成：文件不会发送到任何地方，关闭本页后副本即被删除。",
        "private_there": "一切都在提供本页的电脑上完成：文件只发送到那里，关闭本页后即被删除。",
        "outcome": "你会得到",
        "outcome_person": "每个人的时间线，以及一句总结；照片中每张脸的答案",
        "outcome_files": "可以下载的文件：带方框的视频、时间线图片、表格、字幕",
        "outcome_doubt": "模型没有把握时，会写明“不确定”",
        "uploading": "正在上传",
        "cancel": "取消",
        "upload_failed": "上传中断了，请重试。",
        "wrong_type": "“{name}”既不是视频也不是照片。请选择 MP4、MOV、JPEG、PNG 等文件。",
        "one_video": "请选择一段视频，或最多 {photos} 张照片。",
        "lost": "与 m3dfel 的连接已断开。请重新启动 m3dfel app，然后刷新本页。",
        "closed": "本页关闭了一段时间，结果已被删除。请重新选择文件。",
        "recorder": "摄像头",
        "record_hint": "请看着摄像头，几秒钟就够了。",
        "record_start": "开始录制",
        "record_stop": "停止并分析",
        "recording": "正在录制：{time}",
        "no_camera": "无法使用摄像头：请在浏览器中允许使用，并通过 localhost 或 HTTPS 打开本页。",
        "starting": "正在启动",
        "waiting": "正在等待其他视频处理完毕：排在第 {n} 位",
        "reading": "正在识别表情",
        "drawing": "正在把结果画进视频",
        "seconds_left": "大约还需 {n} 秒",
        "minutes_left": "大约还需 {n} 分钟",
        "stop": "停止",
        "another": "换一个文件",
        "unreadable": "无法将这个文件作为视频或照片读取：它可能已损坏、只有声音，或者是别的文件。",
        "unreadable_photos": "无法作为照片读取的文件：{names}。",
        "too_long": "视频超过了 {minutes} 分钟，请换一个短一些的。",
        "too_large": "文件超过了 {mb} MB，请换一个小一些的。",
        "too_many_pixels": "视频画面超过了 8K，请换一个小一些的。",
        "no_face": "没有找到人脸。人脸较大、正对镜头时效果最好。",
        "failed": "处理时出错了，请重试。详情见服务器日志。",
        "cut_off": "文件应有 {stated} 秒，却在 {read} 秒处中断：它不完整或已损坏。",
        "result": "结果",
        "photos": "{n} 张照片",
        "people": "{seconds} 秒内有 {n} 个人",
        "person": "人物 {n}",
        "all_the_time": "始终{word}（{total} 秒）",
        "mostly": "大部分时间{word}（{total} 秒中的 {n} 秒）",
        "most_often": "最常见的是{word}（{total} 秒中的 {n} 秒）",
        "then": "，其次是{word}（{n} 秒）",
        "no_emotion": "{total} 秒内没有确定的表情",
        "rest": "；{n} 秒{word}",
        "end": "。",
        "now": "此刻：{word}",
        "boxes": "方框和名称",
        "legend": "高度表示模型的置信度。实色是识别出的表情，淡色表示不确定。点击即可跳转。",
        "details": "详情",
        "movements": "面部动作",
        "movements_legend": "高度表示动作的幅度。从人脸关键点检测器的估计中学来，不是 FACS 编码。",
        "photo": "照片",
        "face": "人脸",
        "from": "开始",
        "to": "结束",
        "expression": "表情",
        "confidence": "模型的置信度",
        "timeline": "人物 {n} 的时间线",
        "moments": "表情最明显的瞬间",
        "downloads": "下载",
        "video": "视频",
        "png": "图片",
        "xlsx": "表格（Excel）",
        "csv": "表格（CSV）",
        "zip": "全部（ZIP）",
        "formats": "更多格式",
        "json_purpose": "全部数据，供程序使用",
        "srt_purpose": "视频播放器的字幕",
        "vtt_purpose": "网页的字幕",
        "eaf_purpose": "ELAN 标注",
        "boris_purpose": "BORIS 事件表",
        "purpose": "结果只是对面部表情的估计，不代表人的真实感受，而且常常会出错。"
        "请勿据此作出关于他人的决定。在欧盟，除医疗或安全目的外，"
        "禁止在工作场所和教育机构推断他人的情绪（《人工智能法案》第 5 条第 1 款 (f) 项）。",
        **words_for("zh", tuple(CHINESE)),
    },
}


def choose_language(accepted: str) -> Language:
    """Return the language for a browser's header `Accept-Language`: its first one, or English."""
    return "zh" if accepted.strip().lower().startswith("zh") else "en"


def translate(language: Language, word: str, /, **values: object) -> str:
    """Return a word or sentence of the page; a word that has no translation stays as it is."""
    text = WORDS[language].get(word, word)
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
