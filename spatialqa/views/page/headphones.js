// Tells headphones from loudspeakers, with tones that are made here.
"use strict";

const Headphones = (() => {
  const SECONDS = 1, PAUSE = 0.5, LEVEL = 0.25;
  let context = null;

  function tone(buffer, start, hertz, left, right) {
    const rate = buffer.sampleRate, ramp = 0.1 * rate, n = SECONDS * rate;
    [left, right].forEach((gain, ear) => {
      const samples = buffer.getChannelData(ear);
      for (let k = 0; k < n; k++) {
        const edge = Math.min(1, k / ramp, (n - k) / ramp);
        samples[Math.round(start * rate) + k] = LEVEL * gain * edge * Math.sin(2 * Math.PI * hertz * k / rate);
      }
    });
  }

  // tones: a list of [left, right] gains, one after the other; resolves when they have sounded
  function play(tones, hertz) {
    context = context || new AudioContext();
    const seconds = tones.length * (SECONDS + PAUSE);
    const buffer = context.createBuffer(2, Math.ceil(seconds * context.sampleRate), context.sampleRate);
    tones.forEach(([left, right], k) => tone(buffer, k * (SECONDS + PAUSE), hertz, left, right));
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    context.resume();
    source.start();
    return new Promise((done) => { source.onended = done; });
  }

  const shuffled = (values) => {
    const left = [...values], out = [];
    while (left.length) out.push(...left.splice(Math.floor(Math.random() * left.length), 1));
    return out;
  };

  // six trials: three of one ear, three of the faintest of three tones, one of which has opposite phases
  function trials() {
    const sides = shuffled(["left", "right", Math.random() < 0.5 ? "left" : "right"]).map((side) => ({
      task: "A tone sounds at one ear. At which?",
      tones: [side === "left" ? [1, 0] : [0, 1]],
      hertz: 600,
      replies: ["left", "right"],
      right: side,
    }));
    const phases = [0, 1, 2].map(() => {
      const order = shuffled(["full", "faint", "opposite"]);
      return {
        task: "Three tones follow each other. Which is the faintest?",
        tones: order.map((kind) => ({ full: [1, 1], faint: [0.5, 0.5], opposite: [1, -1] })[kind]),
        hertz: 200,
        replies: ["first", "second", "third"],
        right: ["first", "second", "third"][order.indexOf("faint")],
      };
    });
    return [...sides, ...phases];
  }

  return { play, trials };
})();
