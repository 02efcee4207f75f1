// Filters, keys, highlights and lazy loading of the preview page.
"use strict";

(() => {
  const form = document.getElementById("filters");
  const articles = [...document.querySelectorAll("article.scene")];
  const facets = JSON.parse(document.getElementById("facets").textContent);
  const questions = articles.map((article) => [...article.querySelectorAll(".question")]);
  const loaded = new Map();
  const byId = new Map(articles.map((article) => [article.id, article]));
  let current = -1;

  // --- data of a scene, once it comes near the window ------------------------------------------------------------

  window.spatialqaScene = async (data) => {
    const article = byId.get(data.id);
    if (!article) return;
    await Curves.prepare(data);
    loaded.set(article, data);
    if (!data.decays.length) article.querySelector("figure.decays")?.remove();
    redraw(article);
    article.dataset.ready = "";
  };

  function load(article) {
    if (article.dataset.asked !== undefined) return;
    article.dataset.asked = "";
    const script = document.createElement("script");
    script.src = article.dataset.data;
    document.head.append(script);
    const audio = article.querySelector("audio");
    if (audio) audio.preload = "metadata";
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) load(entry.target);
  }, { rootMargin: "800px" });

  function redraw(article) {
    const data = loaded.get(article);
    if (!data) return;
    const lit = litOf(article);
    const sound = article.querySelector("canvas.waveform"), decay = article.querySelector("canvas.decay");
    if (sound && data.waveform) Curves.sound(sound, data, lit);
    if (decay && data.decays.length) Curves.decay(decay, data, lit);
  }

  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) redraw(entry.target.closest("article"));
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => articles.forEach(redraw));

  // --- highlights -------------------------------------------------------------------------------------------------

  const litOf = (article) => new Set((article.dataset.lit || "").split(" ").filter(Boolean).map(Number));

  function light(article, sources) {
    const text = [...sources].join(" ");
    if ((article.dataset.lit || "") === text) return;
    article.dataset.lit = text;
    article.classList.toggle("lit", sources.size > 0);
    for (const part of article.querySelectorAll("[data-source]")) {
      const on = sources.has(Number(part.dataset.source));
      part.classList.toggle("on", on);
    }
    for (const row of article.querySelectorAll("tbody tr[data-source]")) row.classList.toggle("on", sources.has(Number(row.dataset.source)));
    redraw(article);
  }

  const sourcesOf = (button) =>
    new Set((button.dataset.sources ?? button.dataset.source ?? "").split(" ").filter(Boolean).map(Number));

  function press(article, button) {
    const pressed = button && button.getAttribute("aria-pressed") !== "true";
    for (const other of article.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", "false");
    if (button && pressed) button.setAttribute("aria-pressed", "true");
    light(article, button && pressed ? sourcesOf(button) : new Set());
  }

  for (const article of articles) {
    article.addEventListener("click", (event) => {
      const button = event.target.closest(".question, .dot");
      if (button) press(article, button);
      const source = event.target.closest("g.source");
      if (source) press(article, article.querySelector(`.dot[data-source="${source.dataset.source}"]`));
    });
    const over = (event) => {
      const button = event.target.closest(".question, .dot");
      if (button) light(article, sourcesOf(button));
    };
    const out = () => {
      const pressed = article.querySelector("[aria-pressed='true']");
      light(article, pressed ? sourcesOf(pressed) : new Set());
    };
    article.addEventListener("mouseover", over);
    article.addEventListener("focusin", over);
    article.addEventListener("mouseout", out);
    article.addEventListener("focusout", out);
  }

  // --- playing ----------------------------------------------------------------------------------------------------

  for (const article of articles) {
    const audio = article.querySelector("audio"), line = article.querySelector(".timeline");
    if (!audio) continue;
    const head = line.querySelector(".playhead"), canvas = line.querySelector("canvas");
    const move = () => {
      const [x0, x1] = Curves.span(canvas);
      head.hidden = audio.currentTime === 0 && audio.paused;
      head.style.left = `${x0 + (x1 - x0) * audio.currentTime / (audio.duration || 1)}px`;
      if (!audio.paused) requestAnimationFrame(move);
    };
    audio.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
      move();
    });
    audio.addEventListener("seeked", move);
    line.addEventListener("click", (event) => {
      const [x0, x1] = Curves.span(canvas);
      const share = (event.clientX - line.getBoundingClientRect().left - x0) / (x1 - x0);
      const seek = () => { audio.currentTime = Math.min(Math.max(share, 0), 1) * audio.duration; };
      if (audio.readyState > 0) seek();
      else { audio.addEventListener("loadedmetadata", seek, { once: true }); audio.preload = "metadata"; audio.load(); }
    });
  }

  // --- filters ----------------------------------------------------------------------------------------------------

  function apply() {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.direction ? wanted.direction.split(", ") : [];
    const fits = (source) =>
      (!wanted.class || source.class.includes(wanted.class)) && (!wanted.distance || source.distance === wanted.distance)
      && (!wanted.sight || source.sight === wanted.sight) && words.every((word) => source.direction.includes(word));
    let shown = 0, asked = 0;
    articles.forEach((article, k) => {
      const scene = facets[k];
      const kept = scene.questions.map(([type, subtype]) =>
        (!wanted.type || type === wanted.type) && (!wanted.subtype || subtype === wanted.subtype));
      const visible = (!wanted.split || scene.split === wanted.split) && scene.sources.some(fits)
        && (!(wanted.type || wanted.subtype) || kept.some(Boolean));
      if (article.hidden === visible) article.hidden = !visible;
      if (!visible) return;
      shown += 1;
      questions[k].forEach((button, n) => {
        asked += kept[n];
        const item = button.parentElement;
        if (item.hidden === kept[n]) item.hidden = !kept[n];
      });
    });
    document.getElementById("count").textContent =
      `${shown} scene${shown === 1 ? "" : "s"}, ${asked} question${asked === 1 ? "" : "s"}`;
    document.getElementById("none").hidden = shown > 0;
  }

  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());

  // --- keys -------------------------------------------------------------------------------------------------------

  function go(by) {
    const visible = articles.filter((article) => !article.hidden);
    if (!visible.length) return;
    const at = visible.indexOf(articles[current]);
    const next = visible[at < 0 ? 0 : Math.min(Math.max(at + by, 0), visible.length - 1)];
    mark(next);
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  }

  function mark(article) {
    articles[current]?.classList.remove("current");
    current = articles.indexOf(article);
    article.classList.add("current");
  }

  document.addEventListener("focusin", (event) => {
    const article = event.target.closest?.("article.scene");
    if (article) mark(article);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const article = articles[current];
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") form.elements.type.focus();
    else if (event.key === "Escape" && article) press(article, null);
    else if (event.key === "p" && article) {
      const audio = article.querySelector("audio");
      if (audio) audio.paused ? audio.play() : audio.pause();
    } else if (/^[1-9]$/.test(event.key) && article) {
      const dot = article.querySelector(`.dot[data-source="${Number(event.key) - 1}"]`);
      if (dot) press(article, dot);
    } else return;
    event.preventDefault();
  });

  apply();
  for (const article of articles) {
    near.observe(article);
    for (const canvas of article.querySelectorAll("canvas")) resized.observe(canvas);
  }
})();
