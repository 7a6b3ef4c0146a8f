// The timelines follow the video, and a click, a drag or an arrow key on one moves the video.
(() => {
  const resultOf = (element) => element.closest(".m3-result");
  const videoOf = (element) => resultOf(element).querySelector("video");

  function show(video) {
    const result = resultOf(video);
    if (!result) return;
    const time = video.currentTime;
    result.style.setProperty("--played", Math.min(1, time / result.dataset.duration));
    for (const lane of result.querySelectorAll(".m3-lane")) lane.ariaValueNow = time.toFixed(1);
    for (const face of result.querySelectorAll(".m3-face")) {
      const span = JSON.parse(face.dataset.now).find(([start, end]) => start <= time && time < end);
      face.querySelector(".m3-now").textContent = span ? span[2] : "";
    }
  }

  function follow(video) {
    if (!video.isConnected) return;
    show(video);
    if (!video.paused) requestAnimationFrame(() => follow(video));
  }

  function seek(element, time) {
    const duration = Number(resultOf(element).dataset.duration);
    // The last frame, not the end: a video that has ended starts again.
    videoOf(element).currentTime = Math.max(0, Math.min(time, duration - 0.05));
  }

  function seekTo(lane, event) {
    const { left, width } = lane.getBoundingClientRect();
    seek(lane, ((event.clientX - left) / width) * resultOf(lane).dataset.duration);
  }

  // On the document, since results come and go; these events of a video do not bubble.
  document.addEventListener("play", (event) => follow(event.target), true);
  document.addEventListener("seeking", (event) => show(event.target), true);
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-seek], .m3-lane");
    if (!target) return;
    if (target.dataset.seek) seek(target, Number(target.dataset.seek));
    else seekTo(target, event);
  });
  document.addEventListener("pointermove", (event) => {
    const lane = event.buttons === 1 && event.target.closest(".m3-lane");
    if (lane) seekTo(lane, event);
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[event.key];
    if (!step || !event.target.matches(".m3-lane")) return;
    event.preventDefault();
    seek(event.target, videoOf(event.target).currentTime + step);
  });
})();
