// Draws waveform, spectrogram and decay on a canvas, in the colours of the page.
"use strict";

const Curves = (() => {
  const LEFT = 46, BOTTOM = 18, GAP = 6, TOP = 16;
  const LIGHT = [[255, 255, 255], [214, 226, 240], [120, 166, 208], [38, 98, 158], [10, 30, 70]];
  const DARK = [[27, 30, 35], [30, 54, 92], [38, 112, 150], [110, 196, 170], [250, 246, 190]];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function prepare(data) {
    if (!data.waveform) return;
    data.envelope = await unpack(data.waveform.envelope);
    data.levels = await unpack(data.spectrogram.levels);
  }

  function begin(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, height);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    return { pen, width, height };
  }

  function step(length, most) {
    for (const value of [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]) {
      if (length / value <= most) return value;
    }
    return length;
  }

  function timeAxis(pen, x0, x1, y, end, unit) {
    const by = step(end, Math.max(2, Math.floor((x1 - x0) / 70)));
    pen.fillStyle = style("--soft");
    for (let t = 0; t <= end * 1.0001; t += by) {
      const x = x0 + (x1 - x0) * t / end;
      const label = `${+t.toFixed(2)} ${unit}`;
      pen.textAlign = t === 0 ? "left" : x > x1 - 22 ? "right" : "center";
      pen.fillText(label, x, y);
    }
  }

  function palette() {
    const stops = isDark() ? DARK : LIGHT, table = [];
    for (let v = 0; v < 256; v++) {
      const at = v / 255 * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(at)), f = at - k;
      table.push(stops[k].map((low, c) => Math.round(low + (stops[k + 1][c] - low) * f)));
    }
    return table;
  }

  function image(data, ear) {
    const { columns, bands } = data.spectrogram, colours = palette();
    const picture = new ImageData(columns, bands);
    for (let band = 0; band < bands; band++) {
      for (let column = 0; column < columns; column++) {
        const [r, g, b] = colours[data.levels[(ear * bands + band) * columns + column]];
        const at = 4 * ((bands - 1 - band) * columns + column);
        picture.data.set([r, g, b, 255], at);
      }
    }
    const held = document.createElement("canvas");
    held.width = columns;
    held.height = bands;
    held.getContext("2d").putImageData(picture, 0, 0);
    return held;
  }

  // the part of the canvas in which time runs from 0 to the end: [left, right] as CSS pixels
  const span = (canvas) => [LEFT, canvas.clientWidth - 2];

  function sound(canvas, data, lit) {
    const { pen, width, height } = begin(canvas);
    const x0 = LEFT, x1 = width - 2, inner = height - TOP - BOTTOM - 3 * GAP;
    const wave = inner * 0.18, spectrum = inner * 0.32;
    const { columns } = data.waveform;
    ["left", "right"].forEach((ear, k) => {
      const middle = TOP + wave / 2 + k * (wave + GAP);
      pen.fillStyle = style("--soft");
      pen.textAlign = "right";
      pen.fillText(ear, x0 - 8, middle);
      pen.fillStyle = style("--accent");
      for (let column = 0; column < columns; column++) {
        const at = 2 * (k * columns + column);
        const low = (data.envelope[at] - 128) / 127, high = (data.envelope[at + 1] - 128) / 127;
        const x = x0 + (x1 - x0) * column / columns;
        const top = middle - high * wave / 2, tall = Math.max(0.8, (high - low) * wave / 2);
        pen.fillRect(x, top, (x1 - x0) / columns + 0.4, tall);
      }
    });
    const { low_hz: low, high_hz: high } = data.spectrogram;
    ["left", "right"].forEach((ear, k) => {
      const top = TOP + 2 * (wave + GAP) + k * (spectrum + GAP);
      pen.imageSmoothingEnabled = true;
      pen.drawImage(image(data, k), x0, top, x1 - x0, spectrum);
      pen.strokeStyle = style("--rule");
      pen.lineWidth = 1;
      pen.strokeRect(x0 - 0.5, top - 0.5, x1 - x0 + 1, spectrum + 1);
      pen.fillStyle = style("--soft");
      pen.textAlign = "right";
      for (const [hz, label] of [[125, "125 Hz"], [1000, "1 kHz"], [8000, "8 kHz"]]) {
        if (hz < high) pen.fillText(label, x0 - 5, top + spectrum * (1 - Math.log(hz / low) / Math.log(high / low)));
      }
    });
    timeAxis(pen, x0, x1, height - 7, data.seconds, "s");
    onsets(pen, data, lit, x0, x1, height);
  }

  function onsets(pen, data, lit, x0, x1, height) {
    let last = -Infinity, row = 0;
    const marks = data.sources.flatMap((source, k) => source.starts.map((t, n) => ({ k, t, n, source })));
    marks.sort((a, b) => a.t - b.t);
    for (const { k, t, n, source } of marks) {
      const x = Math.min(x1 - 1, x0 + (x1 - x0) * t / data.seconds);
      const colour = style(`--s${source.colour}`);
      pen.globalAlpha = lit.size && !lit.has(k) ? 0.2 : 1;
      pen.strokeStyle = colour;
      pen.lineWidth = n ? 1 : 1.6;
      pen.setLineDash(n ? [2, 3] : []);
      pen.beginPath();
      pen.moveTo(x, TOP);
      pen.lineTo(x, height - BOTTOM);
      pen.stroke();
      if (!n) {
        const at = x - last < 17 ? last + 17 : x;
        last = at;
        const centre = Math.min(Math.max(at, x0 + 7), x1 - 7);
        pen.fillStyle = colour;
        pen.beginPath();
        pen.arc(centre, 8, 7.5, 0, 2 * Math.PI);
        pen.fill();
        pen.fillStyle = style("--number");
        pen.textAlign = "center";
        pen.font = "bold 10px system-ui, sans-serif";
        pen.fillText(String(k + 1), centre, 8.5);
        pen.font = "11px system-ui, sans-serif";
      }
    }
    pen.globalAlpha = 1;
    pen.setLineDash([]);
  }

  function decay(canvas, data, lit) {
    const { pen, width, height } = begin(canvas);
    const x0 = LEFT, x1 = width - 2, y0 = 8, y1 = height - BOTTOM;
    const end = Math.max(...data.decays.map((one) => one.end_ms)), floor = -60;
    const y = (db) => y0 + (y1 - y0) * Math.min(1, db / floor);
    pen.fillStyle = style("--soft");
    pen.textAlign = "right";
    pen.strokeStyle = style("--rule");
    for (const db of [0, -20, -40, -60]) {
      pen.fillText(`${db} dB`.replace("-", "\u2212"), x0 - 5, y(db));
      pen.beginPath();
      pen.moveTo(x0, y(db));
      pen.lineTo(x1, y(db));
      pen.stroke();
    }
    timeAxis(pen, x0, x1, height - 7, end, "ms");
    for (const one of data.decays) {
      const colour = style(`--s${data.sources[one.source].colour}`), n = one.decay_db.length;
      const x = (ms) => x0 + (x1 - x0) * ms / end;
      const draw = (levels) => {
        pen.beginPath();
        levels.forEach((db, k) => pen.lineTo(x(one.end_ms * (k + 0.5) / n), y(db)));
        pen.stroke();
      };
      const faint = lit.size && !lit.has(one.source);
      pen.strokeStyle = colour;
      pen.lineWidth = 0.7;
      pen.globalAlpha = faint ? 0.06 : 0.4;
      draw(one.level_db);
      pen.globalAlpha = faint ? 0.2 : 1;
      pen.lineWidth = 1.8;
      draw(one.decay_db);
      pen.fillStyle = colour;
      pen.beginPath();
      pen.arc(x(one.direct_ms), y(0), 4, 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
    }
  }

  return { prepare, sound, decay, span };
})();
