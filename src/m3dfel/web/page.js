// The page: uploads a video or photos or records a video, shows how the work goes, and lets the timelines, the
// boxes and the video of a result move together.
(() => {
  const { words, bytes: maxBytes, photos: maxPhotos } = JSON.parse(document.getElementById("settings").textContent);
  const $ = (id) => document.getElementById(id);
  const POLL_MS = 400, LOST_MS = 10_000, OPEN_MS = 60_000, SPOKEN_MS = 10_000;
  const fill = (form, values) =>
    form.replace(/{(\w+)}/g, (all, name) => (name in values ? values[name] : all));

  let job = sessionStorage.getItem("job"); // so that a page that is reloaded finds its result
  let upload = null;
  let spokenAt = 0;

  // --- views -----------------------------------------------------------------------------------

  function show(view) {
    for (const id of ["start", "camera", "work", "done"]) $(id).hidden = id !== view;
    $("another").hidden = view !== "done";
    if (view !== "work") document.title = "m3dfel";
  }

  function problem(sentence) {
    $("problem").textContent = sentence;
    $("problem").hidden = !sentence;
  }

  function progress(step, percent, left) {
    $("step").textContent = step;
    $("left").textContent = [left, `${percent} %`].filter(Boolean).join(" · ");
    $("bar").ariaValueNow = percent;
    $("bar").firstElementChild.style.width = `${percent}%`;
    document.title = `${percent} % – m3dfel`;
    if (Date.now() - spokenAt < SPOKEN_MS) return;
    spokenAt = Date.now();
    $("spoken").textContent = `${step}, ${percent} %`;
  }

  function setJob(id) {
    job = id;
    if (id) sessionStorage.setItem("job", id);
    else sessionStorage.removeItem("job");
  }

  // --- choosing and uploading ------------------------------------------------------------------

  function submit(files) {
    const other = files.find(({ type }) => type && !/^(video|image|application)\//.test(type));
    if (other) return problem(fill(words.wrong_type, { name: other.name }));
    const hasVideo = files.some(({ type }) => type.startsWith("video/"));
    if (files.length > (hasVideo ? 1 : maxPhotos)) return problem(words.one_video);
    const body = new Blob(files); // the files one after the other; the address has their sizes
    if (body.size > maxBytes) return problem(words.too_large);
    const address = new URLSearchParams();
    for (const { name, size } of files) {
      address.append("name", name);
      address.append("size", size);
    }
    problem("");
    show("work");
    progress(words.uploading, 0, "");
    upload = new XMLHttpRequest();
    upload.open("POST", `uploads?${address}`);
    upload.upload.onprogress = ({ loaded, total }) =>
      progress(words.uploading, Math.floor((100 * loaded) / total), "");
    upload.onload = () => {
      const { status, responseText } = upload;
      upload = null;
      if (status === 200) return begin(JSON.parse(responseText).id);
      show("start");
      problem(status === 413 ? words.too_large : words.upload_failed);
    };
    upload.onerror = () => {
      upload = null;
      show("start");
      problem(words.upload_failed);
    };
    upload.send(body);
  }

  async function example() {
    problem("");
    try {
      const response = await fetch("example", { method: "POST" });
      begin((await response.json()).id);
    } catch {
      $("lost").hidden = false;
    }
  }

  function begin(id) {
    setJob(id);
    show("work");
    follow();
  }

  function close() {
    upload?.abort();
    upload = null;
    if (job) fetch(`jobs/${job}/close`, { method: "POST" }).catch(() => {});
    setJob(null);
    problem("");
    $("done").replaceChildren();
    show("start");
    $("choose").focus();
  }

  // --- the work --------------------------------------------------------------------------------

  async function follow() {
    const mine = job;
    let answeredAt = Date.now();
    while (job === mine && mine) {
      let answer = null;
      try {
        const response = await fetch(`jobs/${mine}`);
        answer = response.ok ? await response.json() : { state: "closed" };
        answeredAt = Date.now();
      } catch {
        // The server is busy or gone.
      }
      if (job !== mine) return;
      $("lost").hidden = Date.now() - answeredAt < LOST_MS;
      if (answer?.state === "done") return showResult(answer.html);
      if (answer && !["waiting", "working"].includes(answer.state)) {
        setJob(null);
        show("start");
        return problem(answer.sentence ?? (answer.state === "closed" ? words.closed : ""));
      }
      if (answer) progress(answer.step, answer.percent, answer.left);
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  async function showResult(html) {
    $("done").innerHTML = html;
    show("done");
    const title = $("result-title");
    title.focus();
    const verdicts = [...document.querySelectorAll(".verdict")].slice(0, 4);
    $("spoken").textContent = [title, ...verdicts].map((e) => e.textContent).join(" ");
    if ($("done").querySelector("video")) await addBoxes(document.querySelector(".result"));
  }

  // Says that the page is open, and notices if the server is not.
  setInterval(async () => {
    if (!job || $("done").hidden) return;
    try {
      const response = await fetch(`jobs/${job}?brief`);
      $("lost").hidden = true;
      if (response.ok) return;
      close();
      problem(words.closed);
    } catch {
      $("lost").hidden = false;
    }
  }, OPEN_MS / 4);

  addEventListener("pagehide", () => job && navigator.sendBeacon(`jobs/${job}/leave`));
  addEventListener("pageshow", () => job && fetch(`jobs/${job}?brief`).catch(() => {}));
  addEventListener("beforeunload", (event) => upload && event.preventDefault());

  // --- the camera ------------------------------------------------------------------------------

  let camera = null;
  let recorder = null;

  async function openCamera() {
    problem("");
    try {
      camera = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 }, audio: true });
    } catch {
      try {
        camera = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 } });
      } catch {
        return problem(words.no_camera);
      }
    }
    const video = $("camera").querySelector("video");
    video.srcObject = camera;
    video.play();
    show("camera");
    $("shoot").focus();
  }

  function closeCamera() {
    recorder = null;
    for (const track of camera?.getTracks() ?? []) track.stop();
    camera = null;
    $("recorded").textContent = "";
    $("shoot").textContent = words.record_start;
  }

  function shoot() {
    if (recorder) return recorder.stop();
    const parts = [];
    const startedAt = Date.now();
    recorder = new MediaRecorder(camera);
    const mine = recorder;
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      if (mine !== recorder) return; // cancelled
      const type = mine.mimeType.split(";")[0] || "video/webm";
      closeCamera();
      submit([new File(parts, `recording.${type.includes("mp4") ? "mp4" : "webm"}`, { type })]);
    };
    recorder.start(500);
    $("shoot").textContent = words.record_stop;
    const tick = () => {
      if (mine !== recorder) return;
      const seconds = Math.round((Date.now() - startedAt) / 1000);
      $("recorded").textContent = fill(words.recording, { time: `${seconds} s` });
      setTimeout(tick, 250);
    };
    tick();
  }

  // --- a result --------------------------------------------------------------------------------

  const resultOf = (element) => element.closest(".result");
  const videoOf = (element) => resultOf(element).querySelector("video");
  const spanAt = (spans, time) => spans.find(([start, end]) => start <= time && time < end);

  function showTime(video) {
    const result = resultOf(video);
    if (!result) return;
    const time = video.currentTime;
    result.style.setProperty("--played", Math.min(1, time / result.dataset.duration));
    for (const person of result.querySelectorAll(".person")) {
      const tracks = (result.tracks ?? []).filter((t) => t.person === Number(person.dataset.person));
      const word = tracks.map(({ spans }) => spanAt(spans, time)?.[2]).find(Boolean) ?? "";
      const now = person.querySelector(".now");
      const text = word && fill(now.dataset.form, { word });
      if (now.textContent !== text) now.textContent = text;
      const lane = person.querySelector(".lane");
      lane.ariaValueNow = time.toFixed(1);
      lane.ariaValueText = [`${time.toFixed(1)} s`, word].filter(Boolean).join(", ");
    }
    drawBoxes(result, time);
  }

  async function addBoxes(result) {
    const response = await fetch(`${result.dataset.address}/boxes`).catch(() => null);
    if (!response?.ok) return;
    const overlay = result.querySelector(".overlay");
    result.tracks = (await response.json()).map((track) => {
      const box = document.createElement("div");
      box.className = "box";
      box.hidden = true;
      box.style.setProperty("--person", track.color);
      box.innerHTML = "<b><span></span><i></i><span></span></b>";
      box.querySelector("span").textContent = track.person;
      overlay.append(box);
      return { ...track, box };
    });
    showTime(result.querySelector("video"));
  }

  function drawBoxes(result, time) {
    const video = result.querySelector("video");
    const overlay = result.querySelector(".overlay");
    // Annotated if the browser cannot play the upload.
    overlay.hidden = result.querySelector(".switch").hidden = video.currentSrc.includes("/files/");
    if (overlay.hidden || !video.videoWidth || !result.tracks) return;
    const { width, height } = result.dataset;
    const scale = Math.min(video.clientWidth / width, video.clientHeight / height);
    const left = video.offsetLeft + (video.clientWidth - width * scale) / 2;
    const top = video.offsetTop + (video.clientHeight - height * scale) / 2;
    Object.assign(overlay.style, {
      left: `${left}px`, top: `${top}px`, width: `${width * scale}px`, height: `${height * scale}px`,
    });
    for (const { times, boxes, spans, box } of result.tracks) {
      const index = lastBefore(times, time);
      box.hidden = index < 0 || time - times[index] > 0.2;
      if (box.hidden) continue;
      const [x1, y1, x2, y2] = boxes[index];
      Object.assign(box.style, {
        left: `${(100 * x1) / width}%`, top: `${(100 * y1) / height}%`,
        width: `${(100 * (x2 - x1)) / width}%`, height: `${(100 * (y2 - y1)) / height}%`,
      });
      box.classList.toggle("below", y1 * scale < 26);
      box.classList.toggle("leftward", x1 > 0.6 * width);
      const [, , word = "", color = null] = spanAt(spans, time) ?? [];
      box.querySelector("span:last-child").textContent = word;
      box.querySelector("i").style.cssText = color ? `background: ${color}` : "display: none";
    }
  }

  function lastBefore(times, time) {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= time + 0.005) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  function followVideo(video) {
    if (!video.isConnected) return;
    showTime(video);
    if (!video.paused) requestAnimationFrame(() => followVideo(video));
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

  // --- events ----------------------------------------------------------------------------------

  const actions = {
    choose: () => $("file").click(), record: openCamera, example, shoot, stop: close,
    another: close, "leave-camera": () => (closeCamera(), show("start")),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && actions[button.id]) return void actions[button.id]();
    const target = event.target.closest("[data-seek], .lane, .rows");
    if (!target) return;
    if (target.dataset.seek) seek(target, Number(target.dataset.seek));
    else seekTo(target, event);
  });
  $("file").addEventListener("change", ({ target }) => {
    if (target.files.length) submit([...target.files]);
    target.value = "";
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", kind === "dragover");
      const files = kind === "drop" && !$("start").hidden ? [...event.dataTransfer.files] : [];
      if (files.length) submit(files);
    });
  }

  // On the document, since results come and go; these events of a video do not bubble.
  document.addEventListener("play", ({ target }) => followVideo(target), true);
  for (const kind of ["seeking", "loadeddata"]) {
    document.addEventListener(kind, ({ target }) => target.matches(".result video") && showTime(target), true);
  }
  addEventListener("resize", () => {
    const video = document.querySelector(".result video");
    if (video) showTime(video);
  });
  document.addEventListener("pointermove", (event) => {
    const lane = event.buttons === 1 && event.target.closest(".lane, .rows");
    if (lane) seekTo(lane, event);
  });
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches(".lane")) return;
    const { currentTime: time, paused } = videoOf(event.target);
    const end = Number(resultOf(event.target).dataset.duration);
    const times = {
      ArrowLeft: time - 0.5, ArrowDown: time - 0.5, ArrowRight: time + 0.5, ArrowUp: time + 0.5,
      PageDown: time - end / 10, PageUp: time + end / 10, Home: 0, End: end,
    };
    if (event.key === " ") videoOf(event.target)[paused ? "play" : "pause"]();
    else if (event.key in times) seek(event.target, times[event.key]);
    else return;
    event.preventDefault();
  });

  $("record").hidden = !navigator.mediaDevices;
  if (job) begin(job);
})();
