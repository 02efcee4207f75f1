// Asks one question at a time, reveals its answer after the guess, and keeps the answers.
"use strict";

(() => {
  const at = (id) => document.getElementById(id);
  const questions = JSON.parse(at("questions").textContent);
  const scenes = [...document.querySelectorAll("template[data-scene]")];
  const store = `spatialqa-quiz ${location.pathname} ${questions.length} ${questions[0].qa_id}`;
  const AXES = [["left", "right"], ["front", "behind"], ["above", "below"]];
  const NEAR_M = 0.5;
  let answers = {}, headphones = "not checked", current = null, trials = [], passed = 0;

  try { answers = JSON.parse(localStorage.getItem(store)) || {}; } catch { /* no storage here: answers last as long as the page */ }
  const keep = () => { try { localStorage.setItem(store, JSON.stringify(answers)); } catch { /* as above */ } };

  function show(id) {
    for (const part of document.querySelectorAll("section.card")) part.hidden = part.id !== id;
    at(id).querySelector("h2").scrollIntoView({ block: "nearest" });
  }

  // --- headphones -------------------------------------------------------------------------------------------------

  at("tone").addEventListener("click", () => Headphones.play([[1, 1]], 600));
  at("skip").addEventListener("click", () => ask());
  at("check").addEventListener("click", () => { trials = Headphones.trials(); passed = 0; trial(0); });

  function trial(number) {
    if (number === trials.length) {
      headphones = passed === trials.length ? "passed" : `${passed} of ${trials.length} right`;
      if (passed === trials.length) ask();
      else failed();
      return;
    }
    const one = trials[number];
    show("headphones");
    at("trial").textContent = `${number + 1} of ${trials.length}`;
    at("task").textContent = one.task;
    at("play").hidden = false;
    at("play").disabled = false;
    at("play").onclick = async () => {
      at("play").disabled = true;
      await Headphones.play(one.tones, one.hertz);
      at("play").disabled = false;
      for (const button of at("replies").children) button.disabled = false;
    };
    at("replies").replaceChildren(...one.replies.map((reply) => choiceButton(reply, () => {
      passed += reply === one.right;
      trial(number + 1);
    }, true)));
    at("play").focus();
  }

  function failed() {
    show("headphones");
    at("trial").textContent = "result";
    at("task").textContent = `${passed} of ${trials.length} right. Loudspeakers, or headphones that are swapped, do not give what the recordings need. Put the side marked L on your left ear and try again, or continue; the name of your file will say so.`;
    at("play").hidden = true;
    at("replies").replaceChildren(
      choiceButton("Try again", () => { trials = Headphones.trials(); passed = 0; trial(0); }),
      choiceButton("Continue", () => ask()));
  }

  function choiceButton(text, click, disabled = false) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = text;
    button.disabled = disabled;
    button.addEventListener("click", click);
    return button;
  }

  // --- a question -------------------------------------------------------------------------------------------------

  function ask() {
    current = questions.find((one) => !(one.qa_id in answers)) || null;
    if (!current) return finish();
    show("asking");
    at("number").textContent = `Question ${Object.keys(answers).length + 1} of ${questions.length}`;
    at("score").textContent = scoreText();
    at("audio").src = scenes[current.scene].dataset.sound;
    at("question").textContent = current.question;
    at("fields").replaceChildren(...fields(current));
    at("reveal").hidden = true;
    at("form").hidden = false;
    at("submit").hidden = at("finish").hidden = false;
    for (const field of at("form").elements) field.disabled = false;
  }

  function fields(question) {
    if (question.kind === "choice") return [radios("answer", question.choices)];
    if (question.kind === "location") return [...AXES.map((words, k) => radios(`axis${k}`, words)), number("metres", "Distance in metres", 0.5)];
    if (question.kind === "distance") return [number("metres", "Distance in metres", 0.5)];
    if (question.kind === "count") return [number("answer", "Number", 1)];
    return [text()];
  }

  function radios(name, values) {
    const set = document.createElement("fieldset");
    values.forEach((value) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name, value, required: true });
      label.append(input, ` ${value}`);
      set.append(label);
    });
    return set;
  }

  function labelled(text, input) {
    const label = document.createElement("label");
    label.className = "field";
    label.append(text, input);
    return label;
  }

  function number(name, title, step) {
    const input = document.createElement("input");
    Object.assign(input, { type: "number", name, min: "0", max: "1000", step: String(step), required: true });
    return labelled(title, input);
  }

  function text() {
    const input = document.createElement("input");
    Object.assign(input, { type: "text", name: "answer", required: true, autocomplete: "off" });
    if (current.kind === "labels") input.setAttribute("list", "names");
    return labelled(current.kind === "labels" ? "Sound (several: separate them by ;)" : "Answer", input);
  }

  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(at("form")));
    const words = AXES.map((_, k) => given[`axis${k}`]).filter(Boolean);
    const prediction = current.kind === "location" ? `${words.join(", ")}; ${given.metres}m`
      : current.kind === "distance" ? `${given.metres}m` : given.answer.trim();
    const { right, remark } = judge(current, prediction, words, Number(given.metres));
    answers[current.qa_id] = { prediction, right };
    keep();
    reveal(right, remark, prediction);
  });

  function judge(question, prediction, words, metres) {
    if (question.kind === "location") {
      const right = question.words.every((word, k) => word === words[k]);
      return { right, remark: `Your distance is off by ${Math.abs(metres - question.metres).toFixed(1)} m.` };
    }
    if (question.kind === "distance") {
      const off = Math.abs(metres - question.metres);
      return { right: off <= NEAR_M, remark: `It is ${question.metres.toFixed(1)} m; yours is off by ${off.toFixed(1)} m.` };
    }
    const parts = (value) => value.toLowerCase().split(";").map((part) => part.trim()).filter(Boolean).sort().join(";");
    return { right: parts(prediction) === parts(question.answer), remark: "" };
  }

  function reveal(right, remark, prediction) {
    const verdict = document.createElement("b");
    verdict.textContent = right ? "Right." : "Wrong.";
    at("verdict").replaceChildren(verdict, ` The answer is “${current.answer}”, yours “${prediction}”. ${remark}`);
    const picture = scenes[current.scene].content.cloneNode(true);
    at("picture").replaceChildren(picture);
    const lit = new Set(current.sources);
    at("picture").classList.toggle("lit", lit.size > 0);
    for (const part of at("picture").querySelectorAll("[data-source]")) {
      part.classList.toggle("on", lit.has(Number(part.dataset.source)));
    }
    for (const field of at("fields").querySelectorAll("input")) field.disabled = true;
    at("submit").hidden = at("finish").hidden = true;
    at("score").textContent = scoreText();
    at("reveal").hidden = false;
    at("next").focus();
  }

  at("next").addEventListener("click", () => { at("audio").pause(); ask(); });
  at("finish").addEventListener("click", () => { at("audio").pause(); finish(); });

  function scoreText() {
    const all = Object.values(answers), right = all.filter((one) => one.right).length;
    return all.length ? `${right} of ${all.length} right` : "no answer yet";
  }

  // --- the result -------------------------------------------------------------------------------------------------

  function finish() {
    show("end");
    const lines = questions.filter((one) => one.qa_id in answers)
      .map((one) => JSON.stringify({ qa_id: one.qa_id, prediction: answers[one.qa_id].prediction }) + "\n");
    at("summary").textContent = `${scoreText()}. Headphones: ${headphones}. A direction counts as right if all its words are right, a distance if it is within ${NEAR_M} m.`;
    at("save").href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
    at("save").download = `answers-headphones-${headphones.replaceAll(" ", "-")}.jsonl`;
    at("save").hidden = !lines.length;
    at("continue").hidden = lines.length === questions.length;
  }

  at("continue").addEventListener("click", () => ask());
  at("again").addEventListener("click", () => { answers = {}; keep(); headphones = "not checked"; begin(); });

  function begin() {
    const done = Object.keys(answers).length;
    at("resume").hidden = done === 0;
    at("resume").textContent = `You have answered ${done} of ${questions.length} questions here before, and continue after them.`;
    show("start");
  }

  begin();
})();
