// The timelines follow the video, and a click, a drag or an arrow key on one moves the video. A file
// that is too large is refused before it is uploaded. `limits` is written before this script.
(() => {
  const resultOf = (element) => element.closest(".m3-result");
  const videoOf = (element) => resultOf(element).querySelector("video");

  function show(video) {
    const result = resultOf(video);
    if (!result) return;
    const time = video.currentTime;
    result.style.setProperty("--played", Math.min(1, time / result.dataset.duration));
    for (const lane of result.querySelectorAll(".m3-lane")) lane.ariaValueNow = time.toFixed(1);
    for (const person of result.querySelectorAll(".m3-person")) {
      const span = JSON.parse(person.dataset.now).find(([start, end]) => start <= time && time < end);
      person.querySelector(".m3-now").textContent = span ? span[2] : "";
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

  // True if one of the files is too large, which the page then says.
  function refuse(files) {
    document.getElementById("m3-too-large")?.remove();
    if (![...files].some((file) => file.size > limits.bytes)) return false;
    for (const earlier of document.querySelectorAll(".m3-problem")) earlier.hidden = true;
    const problem = document.createElement("p");
    problem.id = "m3-too-large";
    problem.className = "m3-problem";
    problem.role = "alert";
    problem.textContent = limits.sentence[navigator.language.startsWith("zh") ? "zh" : "en"];
    document.getElementById("m3-drop").before(problem);
    return true;
  }

  document.addEventListener("change", (event) => {
    if (event.target.type !== "file" || !refuse(event.target.files)) return;
    event.stopImmediatePropagation();
    event.target.value = "";
  }, true);
  document.addEventListener("drop", (event) => {
    if (!refuse(event.dataTransfer.files)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  }, true);

  // Gradio shows an error if the browser does not play an upload. The server may well read it.
  document.addEventListener("error", (event) => {
    if (event.target.closest?.("#m3-drop")) event.stopImmediatePropagation();
  }, true);

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
