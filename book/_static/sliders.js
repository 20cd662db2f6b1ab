// Figures with sliders. A page leaves numbers in <script type="application/json" data-drawing>; the
// drawing takes the place of the picture in the figure that data-figure names. Without this script,
// and on paper, the picture is shown.
(() => {
const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 672, HEIGHT = 300;

function element(parent, tag, attributes = {}, text = "") {
  const made = document.createElementNS(SPACE, tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  made.textContent = text;
  parent.append(made);
  return made;
}

const raised = (n) => [...String(n)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");

function shown(value) {  // 0.31, 7.0 × 10⁻⁶
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e4) return String(Number(value.toPrecision(3))).replace("-", "−");
  const [digits, power] = value.toExponential(1).split("e");
  return `${digits.replace("-", "−")} × 10${raised(Number(power))}`;
}

// An axis: its two ends, whether it is logarithmic, its ticks and its name.
const linear = (low, high, ticks, name) => ({ low, high, ticks, name, at: (v) => (v - low) / (high - low), said: shown });
const powers = (low, high, ticks, name) => ({
  low, high, ticks: ticks.map((n) => 10 ** n), name,
  at: (v) => Math.log10(Math.min(Math.max(v, low), high) / low) / Math.log10(high / low),
  said: (v) => `10${raised(Math.round(Math.log10(v)))}`,
});

// One panel: axes at a place of the picture, and curves that are moved when a slider is.
function panel(svg, { left, width }, x, y) {
  const top = 12, height = HEIGHT - 62;
  const across = (v) => left + width * x.at(v);
  const up = (v) => top + height * (1 - y.at(v));
  const frame = element(svg, "g", { class: "panel" });
  element(frame, "path", { class: "axis", d: `M${left},${top}v${height}h${width}` });
  x.ticks.forEach((v) => {
    element(frame, "path", { class: "grid", d: `M${across(v)},${top}v${height}` });
    element(frame, "text", { x: across(v), y: top + height + 18, "text-anchor": "middle" }, x.said(v));
  });
  y.ticks.forEach((v) => {
    element(frame, "path", { class: "grid", d: `M${left},${up(v)}h${width}` });
    element(frame, "text", { x: left - 6, y: up(v) + 5, "text-anchor": "end" }, y.said(v));
  });
  element(frame, "text", { x: left + width / 2, y: HEIGHT - 10, "text-anchor": "middle" }, x.name);
  const turned = { x: 0, y: 0, "text-anchor": "middle", transform: `translate(${left - 46},${top + height / 2}) rotate(-90)` };
  element(frame, "text", turned, y.name);
  const place = (v, w) => `${across(v).toFixed(3)},${up(w).toFixed(3)}`;
  return {
    curve(kind) {
      const path = element(frame, "path", { class: `curve ${kind}` });
      return (xs, ys) => path.setAttribute("d", `M${xs.map((v, i) => place(v, ys[i])).join("L")}`);
    },
    dot(kind) {
      const circle = element(frame, "circle", { class: kind, r: 5 });
      return (v, w) => { circle.setAttribute("cx", across(v)); circle.setAttribute("cy", up(w)); };
    },
    word(w) {  // left of the axis, at a height
      const text = element(frame, "text", { x: left - 6, y: up(w) + 5, "text-anchor": "end" });
      return (said) => { text.textContent = said; };
    },
    note(kind, dy, text, anchor = "end") {
      const x = anchor === "end" ? left + width - 4 : left + 8;
      element(frame, "text", { class: kind, x, y: top + dy, "text-anchor": anchor }, text);
    },
  };
}

// A native slider with its name and its value; `said` writes the value.
function slider(form, name, { low, high, step, value, said = shown }, moved) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const output = document.createElement("output");
  Object.assign(input, { type: "range", min: low, max: high, step, value });
  const word = document.createElement("span");
  word.textContent = name;
  const say = () => {
    output.textContent = said(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { say(); moved(); });
  say();
  label.append(word, input, output);
  form.append(label);
  return () => input.valueAsNumber;
}

const range = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const times = (K, [x, p]) => [K[0] * x + K[1] * p, K[2] * x + K[3] * p];

// exp(−γΔt) (cos ωΔt I + sin ωΔt / ω (A + γI)), row by row; exact if ω² = ω0² − γ².
function step(omega0, gamma, dt, omega) {
  const decay = Math.exp(-gamma * dt), even = Math.cos(omega * dt), odd = Math.sin(omega * dt) / omega;
  return [even + gamma * odd, odd, -omega0 * omega0 * odd, even - gamma * odd].map((one) => decay * one);
}

const DRAWINGS = {
  // The exact step of the damped oscillator beside the one with the wrong sign under the root.
  "two-signs"(stage, numbers) {
    const unit = linear(-1.1, 1.1, [-1, 0, 1], "x");
    const plane = panel(stage.svg, { left: 64, width: 238 }, unit, { ...unit, name: "p / ω0" });
    const count = linear(0, numbers.steps, [0, numbers.steps / 2, numbers.steps], "step n");
    const growth = panel(stage.svg, { left: 390, width: 262 }, count, powers(1e-6, 10, [-6, -4, -2, 0], "error"));
    const [exact, wrong, error] = [plane.curve("truth"), plane.curve("rival"), growth.curve("rival")];
    plane.note("truth", 12, "exact");
    plane.note("rival", 30, "wrong sign");

    function draw() {
      const omega0 = of.omega0(), gamma = of.damping() * omega0, dt = of.dt();
      const omega = Math.sqrt(omega0 ** 2 - gamma ** 2);
      const right = step(omega0, gamma, dt, omega);
      const other = step(omega0, gamma, dt, Math.sqrt(omega0 ** 2 + gamma ** 2));
      const paths = [[[1, 0]], [[1, 0]]], errors = [];
      for (let n = 1; n <= numbers.steps; n += 1) {
        const [a, b] = [times(right, paths[0].at(-1)), times(other, paths[1].at(-1))];
        paths[0].push(a);
        paths[1].push(b);
        const off = Math.hypot(b[0] - a[0], (b[1] - a[1] + gamma * (b[0] - a[0])) / omega);
        errors.push(off / Math.hypot(a[0], (a[1] + gamma * a[0]) / omega));
      }
      [exact, wrong].forEach((curve, i) => curve(paths[i].map((s) => s[0]), paths[i].map((s) => s[1] / omega0)));
      error(range(numbers.steps, 1), errors);
      const trace = Math.abs(other[0] + other[3] - right[0] - right[3]);
      stage.say(`K = (${right.slice(0, 2).map(shown).join(", ")}; ${right.slice(2).map(shown).join(", ")}). ` +
        `The wrong sign moves its trace by ${shown(trace)}, and errs by ${shown(errors.at(-1))} after ${numbers.steps} steps.`);
    }

    const of = {
      omega0: stage.slider("ω0", { low: 0.5, high: 4, step: 0.1, value: numbers.omega0 }, draw),
      damping: stage.slider("γ / ω0", { low: 0, high: 0.95, step: 0.05, value: numbers.gamma / numbers.omega0 }, draw),
      dt: stage.slider("Δt", { low: 0.02, high: 0.5, step: 0.02, value: numbers.dt }, draw),
    };
    draw();
  },

  // The attention of the best one-head layer at a distance of its positions, and what it costs.
  attention(stage, numbers) {
    const last = numbers.distance.length - 1;
    const side = panel(stage.svg, { left: 64, width: 238 }, linear(-2, 2, [-2, 0, 2], "x1"), linear(0, 1, [0, 0.5, 1], "α1"));
    const ends = [numbers.distance[0] / 1.2, numbers.distance[last] * 1.2];
    const whole = (low, high) => range(Math.floor(high) - Math.ceil(low) + 1, Math.ceil(low));
    const apart = powers(...ends, whole(...ends.map(Math.log10)), "|p1 − p0| / s");
    const errors = [Math.min(...numbers.nmse) / 2, Math.max(...numbers.nmse) * 2];
    const cost = panel(stage.svg, { left: 390, width: 262 }, apart, powers(...errors, whole(...errors.map(Math.log10)), "normalised MSE"));
    cost.curve("model")(numbers.distance, numbers.nmse);
    const [plane, alpha, here] = [side.curve("truth dashed"), side.curve("model"), cost.dot("model")];
    side.note("model", 12, "α1");
    side.note("truth", 30, "its plane");
    const x1 = range(81).map((i) => -2 + i / 20);

    function draw() {
      const i = of.distance(), x0 = of.x0(), epsilon = 1 / numbers.distance[i];
      const [k, k0, k1] = numbers.plane[i];
      const gap = (v) => (numbers.D[i] + numbers.R[i] * epsilon * v) * (1 + epsilon * (v - x0));
      alpha(x1, x1.map((v) => 1 / (1 + Math.exp(-gap(v)))));
      plane(x1, x1.map((v) => k + k0 * x0 + k1 * v));
      here(numbers.distance[i], numbers.nmse[i]);
      stage.say(`At |p1 − p0| = ${shown(numbers.distance[i])} s the best layer has a normalised MSE of ${shown(numbers.nmse[i])}.`);
    }

    const said = (i) => `${shown(numbers.distance[i])} s`;
    const of = {
      distance: stage.slider("|p1 − p0|", { low: 0, high: last, step: 1, value: Math.floor(last / 2), said }, draw),
      x0: stage.slider("x0", { low: -2, high: 2, step: 0.1, value: 0 }, draw),
    };
    draw();
  },

  // A rollout of the ladder's last model: what its newest state attends to, and what it predicts.
  rollout(stage, numbers) {
    const { dt, attention, exact, predicted } = numbers;
    const [steps, layers, context] = [attention.length, attention[0].length, attention[0][0].length];
    const end = (exact.length - 1) * dt, middle = Math.round(end / 2);
    const time = linear(0, end, [0, middle, 2 * middle], "t");
    const reach = Number((1.6 * Math.max(...exact.map(Math.abs))).toPrecision(1));
    const looks = panel(stage.svg, { left: 64, width: 238 }, time, powers(1e-3, 1, [-3, -2, -1, 0], "attention"));
    const motion = panel(stage.svg, { left: 390, width: 262 }, time, linear(-reach, reach, [-reach, 0, reach], "x"));
    const weights = looks.curve("rival");
    motion.curve("truth")(exact.map((_, i) => i * dt), exact);
    const [path, here] = [motion.curve("model"), motion.dot("model")];
    motion.note("truth", 12, "exact");
    motion.note("model", 30, "predicted");
    const states = [...exact.slice(0, context), ...predicted];  // what the model has seen, in the end

    function draw() {
      const n = of.step(), layer = of.layer(), row = attention[n - 1][layer - 1];
      weights(row.map((_, j) => (n - 1 + j) * dt), row);
      const past = range(n + 1, context - 1);  // the last state given, then the predicted ones
      path(past.map((i) => i * dt), past.map((i) => states[i]));
      here((context + n - 1) * dt, predicted[n - 1]);
      const most = row.indexOf(Math.max(...row));
      stage.say(`Step ${n}: x is predicted as ${shown(predicted[n - 1])} and is ${shown(exact[context + n - 1])}. ` +
        `In layer ${layer} of ${layers} the newest state attends most to the state ${context - 1 - most} steps before it.`);
    }

    const of = {
      step: stage.slider("rollout step", { low: 1, high: steps, step: 1, value: 1 }, draw),
      layer: stage.slider("layer", { low: 1, high: layers, step: 1, value: 1 }, draw),
    };
    draw();
  },

  // What each layer of a decoder would write at each place of its answer, had it to write there.
  lens(stage, numbers) {
    const { written, words, p, own } = numbers;  // words, p: by layer, place and rank
    const [layers, ranks] = [words.length, words[0][0].length];
    const depth = linear(0, layers - 1, [0, Math.floor(layers / 2), layers - 1], "decoder layer");
    const rise = panel(stage.svg, { left: 64, width: 238 }, depth, linear(0, 1, [0, 0.5, 1], "probability"));
    const list = panel(stage.svg, { left: 420, width: 232 }, linear(0, 1, [0, 0.5, 1], "probability"), linear(0, ranks + 1, [], ""));
    const [likeliest, curve, here] = [rise.curve("truth dashed"), rise.curve("model"), rise.dot("model")];
    rise.note("truth", 12, "likeliest word", "start");
    rise.note("model", 30, "written word", "start");
    const rows = range(ranks).map((k) => [list.word(ranks - k), list.curve(`model bar ${k}`)]);

    function draw() {
      const layer = of.layer(), place = of.place() - 1, chances = p[layer][place];
      likeliest(range(layers), range(layers).map((i) => p[i][place][0]));
      curve(range(layers), range(layers).map((i) => own[i][place]));
      here(layer, own[layer][place]);
      rows.forEach(([word, bar], k) => {
        word(words[layer][place][k]);
        bar([0, chances[k]], [ranks - k, ranks - k]);
      });
      stage.say(`The model writes “${written[place]}” there. Layer ${layer} says “${words[layer][place][0]}”, ` +
        `with a probability of ${shown(chances[0])}.`);
    }

    const of = {
      layer: stage.slider("decoder layer", { low: 0, high: layers - 1, step: 1, value: layers - 1 }, draw),
      place: stage.slider("word", { low: 1, high: written.length, step: 1, value: 1, said: (i) => written[i - 1] }, draw),
    };
    draw();
  },
};

// The place of one figure: its picture is kept for paper, the drawing stands before it.
function show(script) {
  const figure = document.getElementById(script.dataset.figure);
  const picture = figure?.querySelector("img");
  const draw = DRAWINGS[script.dataset.drawing];
  if (!picture || !draw) return;
  const box = document.createElement("div");
  const form = document.createElement("form");
  const words = document.createElement("p");
  box.className = "sliders";
  form.setAttribute("aria-label", "Values of this figure");
  const svg = element(box, "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": picture.alt });
  box.append(form, words);
  (picture.closest("a") ?? picture).before(box);  // the build links a picture to its file
  figure.classList.add("has-sliders");
  const say = (text) => { words.textContent = text; };
  draw({ svg, say, slider: (...asked) => slider(form, ...asked) }, JSON.parse(script.textContent));
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("script[data-drawing]").forEach(show);
});
})();
