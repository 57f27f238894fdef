// Plays a recorded run over its picture. `state` says where we are; `render` makes the player show it, from that alone, so
// that going back needs no undoing. Whatever comes from the recording reaches the page as text, never as markup.
// All happens inside `root`, the first player of the page that does not play yet: a page may hold several.
((root) => {
"use strict";

const isPage = document.querySelector("head > meta[name=tinygrad-player]") !== null; // not a part of another page
const before = document.querySelectorAll(".tinygrad-player[data-playing]").length;
const prefix = before ? `p${before + 1}-` : "";
const $ = (name) => root.querySelector(`#${CSS.escape(`${prefix}player-${name}`)}`);

// The ids of the first player are those of its picture's parts, which people's scripts know; another has its own.
function renamed() {
  if (!prefix) return;
  for (const element of root.querySelectorAll("[id], [for], [aria-labelledby], [href^='#']")) {
    for (const name of ["id", "for", "aria-labelledby"]) {
      if (element.hasAttribute(name)) element.setAttribute(name, prefix + element.getAttribute(name));
    }
    if (element.hasAttribute("href")) element.setAttribute("href", `#${prefix}${element.getAttribute("href").slice(1)}`);
  }
}

renamed();
const score = JSON.parse($("score").textContent);
const { steps, parts, kinds, ops, shapes, sources, ledgers, frames } = score;
const tensors = score.tensors.map(([kind, name, value, gradient, inputs]) => ({ ...kinds[kind], name, value, gradient: gradient || null, inputs }));
const last = steps.length - 1;
const stepOf = { forward: {}, backward: {} }; // phase -> part -> the step that is about it
steps.forEach((step, i) => {
  if (step.part) (stepOf[step.phase] ?? stepOf.backward)[step.part] = i;
});

const state = {
  step: 0,
  op: null, // of a step whose block is open: which op of it is played, counted as they are played
  open: new Set(), // the ids of the blocks that are opened
  playing: false,
  chosen: null, // the id of the part that was clicked; null follows what is played
  tensor: 0, // which of the part's tensors
  element: null, // [row, column] in it; null: its largest
  ledger: Math.max(ledgers.findIndex(({ name }) => /(^|\.)W_hh/.test(name)), 0), // the weight of the loop, if it is called so
  entry: null, // [row, column] in the ledger's parameter; null: its largest
};

const picture = $("stage").querySelector("svg");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// Making elements

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "id") element.id = prefix + value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

// Numbers, their sign always printed, so that a heatmap needs no colour

const minus = (text) => text.replaceAll("-", "−");

function shortNumber(value) {
  const x = Number(value);
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "+∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const digits = size < 0.001 || size >= 10000 ? x.toExponential(0) : size < 10 ? x.toFixed(size < 0.01 ? 3 : 2) : x.toFixed(0);
  return (x > 0 ? "+" : "") + minus(digits);
}

function number(value) {
  const x = Number(value);
  if (!Number.isFinite(x)) return shortNumber(value);
  return minus(String(Math.abs(x) < 0.001 && x !== 0 ? x.toExponential() : x));
}

const inFormula = (value) => (Number(value) < 0 ? `(${number(value)})` : number(value));
const size = (value) => (Number.isNaN(Number(value)) ? Infinity : Math.abs(Number(value)));

function largest(values, columns) {
  const at = values.reduce((best, value, i) => (size(value) > size(values[best]) ? i : best), 0);
  return [Math.floor(at / columns), at % columns];
}

// Tensors

const shapeOf = (tensor) => shapes[tensor.shape];
const columnsOf = (tensor) => shapeOf(tensor).kept[1];
const at = (tensor, values, [row, column]) => values[row * columnsOf(tensor) + column];
const shapeText = (tensor) => `(${shapeOf(tensor).shape.join(", ")}${shapeOf(tensor).shape.length === 1 ? "," : ""})`;
const madeIn = (id) => parts[id].made ?? stepOf.forward[id] ?? (parts[id].from ? madeIn(parts[id].from) : 0);
const arrivesIn = (id) => parts[id].arrives ?? stepOf.backward[id] ?? (parts[id].from ? arrivesIn(parts[id].from) : last);

function indexText(tensor, [row, column]) {
  const { shape, columns } = shapeOf(tensor);
  let rest = row;
  const index = shape.slice(0, -1).reverse().map((n) => {
    const i = rest % n;
    rest = Math.floor(rest / n);
    return i;
  });
  return shape.length ? `[${[...index.reverse(), column % columns].join(", ")}]` : "";
}

// An input is the number of a tensor, the name of one that is not in this page, or a plain number in a list.
// Here: its element that was broadcast to `element` of the output; null where there is none in this page.
function operandAt(input, element) {
  if (Array.isArray(input)) return input[0];
  if (typeof input === "string") return null;
  const tensor = tensors[input];
  const { rows, columns, kept } = shapeOf(tensor);
  const [row, column] = [rows === 1 ? 0 : element[0], columns === 1 ? 0 : element[1]];
  return row < kept[0] && column < kept[1] ? at(tensor, tensor.value, [row, column]) : null;
}

const inputName = (input) => (Array.isArray(input) ? number(input[0]) : (tensors[input] ? tensors[input].name : input) || "…");

function filled(formula, values = {}) {
  const text = formula.replaceAll(" - ", " − ").replace(/\{(\w+)\}/g, (place, key) => values[key] ?? place);
  return text.replace(/^\((−[\d.e−]+)\)$/, "$1"); // a number on its own needs no brackets
}

// Equations

function equation(tensor) {
  if (!tensor.inputs) return "";
  const op = ops[tensor.op];
  const names = Object.fromEntries(tensor.inputs.map((input, i) => [i, inputName(input)]));
  if (op.forward && op.kind !== "other") return filled(op.forward, names);
  return `${op.name}(${Object.values(names).slice(0, 4).join(", ")}${tensor.inputs.length > 4 ? ", …" : ""})`;
}

function withNumbers(tensor, element) {
  if (!tensor.inputs) return "";
  const op = ops[tensor.op];
  if (op.kind === "product") return product(tensor, element);
  const values = tensor.inputs.map((input) => operandAt(input, element));
  if (op.kind !== "elementwise" || values.includes(null)) return "";
  return filled(op.forward, Object.fromEntries(values.map((value, i) => [i, inFormula(value)])));
}

const TERMS = 4; // of a sum that are written out

// A sum of products: row i of the one operand with row (or column) j of the other.
function product(tensor, element) {
  const pairs = factors(tensor, element);
  if (!pairs) return "";
  const terms = pairs.slice(0, TERMS).map(([a, b]) => `${inFormula(a)} · ${inFormula(b)}`);
  const rest = pairs.total - terms.length;
  return terms.join(" + ") + (rest > 0 ? ` + … ${rest} more` : "");
}

function factors(tensor, [row, column]) {
  const [left, right] = tensor.inputs.map((input) => tensors[input]);
  if (!left || !right) return null;
  const isLinear = ops[tensor.op].name === "linear";
  const [a, b] = [shapeOf(left), shapeOf(right)];
  if (a.shape.length > 2 || b.shape.length > 2 || (!isLinear && b.shape.length < 2)) return null;
  const inner = Math.min(a.kept[1], b.kept[isLinear ? 1 : 0]);
  if (row >= a.kept[0] || column >= b.kept[isLinear ? 0 : 1]) return null;
  const pairs = Array.from({ length: inner }, (_, k) => [
    at(left, left.value, [row, k]),
    at(right, right.value, isLinear ? [column, k] : [k, column]),
  ]);
  pairs.total = a.columns;
  return pairs;
}

// What an op hands back to each of its inputs, with numbers where it is a formula of single numbers.
function handedBack(tensor, element) {
  if (!tensor.inputs) return [];
  const op = ops[tensor.op];
  return op.backward.slice(0, tensor.inputs.length).flatMap((rule, slot) => {
    const input = tensor.inputs[slot];
    if (Array.isArray(input)) return [];
    const values = tensor.inputs.map((x) => operandAt(x, element));
    if (op.kind !== "elementwise" || values.includes(null)) return [[inputName(input), filled(rule.rule), ""]];
    const known = Object.fromEntries(values.map((value, i) => [i, inFormula(value)]));
    known.y = inFormula(at(tensor, tensor.value, element));
    known.g = inFormula(at(tensor, tensor.gradient, element));
    return [[inputName(input), filled(rule.rule), filled(rule.formula, known)]];
  });
}

// Heatmaps: tables of numbers, coloured by size; one element is chosen, by mouse or arrow keys

function heatmap(label, tensor, values, chosen, choose) {
  const [rows, columns] = shapeOf(tensor).kept;
  const most = Math.max(...values.map((v) => (Number.isFinite(Number(v)) ? size(v) : 0)), Number.MIN_VALUE);
  const table = make("table", { class: "heatmap", role: "grid", "aria-label": label });
  for (let row = 0; row < rows; row += 1) {
    const line = make("tr", { role: "row" });
    for (let column = 0; column < columns; column += 1) {
      line.append(heatmapCell(tensor, at(tensor, values, [row, column]), [row, column], chosen, most, choose));
    }
    table.append(line);
  }
  table.addEventListener("keydown", (event) => moveInGrid(event, [rows, columns], chosen, choose));
  return make("div", { class: "scroll" }, table);
}

function heatmapCell(tensor, value, place, chosen, most, choose) {
  const isChosen = place[0] === chosen[0] && place[1] === chosen[1];
  const x = Number(value);
  const cell = make("td", {
    role: "gridcell",
    class: Number.isFinite(x) ? (x < 0 ? "negative" : "positive") : "non-finite",
    tabindex: isChosen ? "0" : "-1",
    "aria-selected": String(isChosen),
    "aria-label": `${indexText(tensor, place)} ${number(value)}`,
    onclick: () => choose(place),
  }, shortNumber(value));
  cell.style.setProperty("--weight", `${Number.isFinite(x) ? Math.round((size(x) / most) * 45) : 45}%`);
  return cell;
}

function moveInGrid(event, [rows, columns], [row, column], choose) {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  event.stopPropagation();
  const to = [row + move[0], column + move[1]];
  if (to[0] < 0 || to[0] >= rows || to[1] < 0 || to[1] >= columns) return;
  choose(to);
}

// The part that is looked at

const partShown = () => state.chosen ?? (steps[state.step].part || Object.keys(parts)[0]);

const titleOf = (part) => part.title ?? `From ${parts[part.from]?.title ?? part.from} to ${parts[part.to]?.title ?? part.to}`;

function aboutOf(part) {
  if (!part.from) return part.about;
  return part.cut ? "Detached: the value passes, no gradient comes back." : "What is handed over.";
}

function renderPart() {
  const part = parts[partShown()];
  const about = aboutOf(part);
  const word = state.open.has(partShown()) ? "Close" : "Open";
  const chosen = tensors[part.tensors[Math.min(state.tensor, part.tensors.length - 1)]];
  $("part").replaceChildren(
    make("div", { class: "heading" },
      make("h2", { id: "player-part-title" }, titleOf(part)),
      canOpen(partShown()) ? make("button", { type: "button", id: "player-open", onclick: () => toggle(partShown()) }, word, " ", make("kbd", {}, "o")) : "",
      state.chosen ? make("button", { type: "button", id: "player-follow", onclick: () => choosePart(null) }, "Follow the steps") : ""),
    about ? make("p", { class: "about" }, about) : "",
    part.equation ? make("p", { class: "equation" }, part.equation) : "",
    part.tensors.length > 1 ? tensorList(part) : "",
    ...(chosen ? tensorDetails(chosen) : []),
  );
  const row = $("part").querySelector(".tensors [aria-pressed=true]");
  scrollTo(row, row?.closest(".tensors"));
}

function tensorList(part) {
  const rows = part.tensors.map((id, i) => {
    const tensor = tensors[id];
    const made = equation(tensor);
    return make("li", {}, make("button", {
      type: "button",
      "aria-pressed": String(i === state.tensor),
      onclick: () => update({ tensor: i, element: null }),
    }, make("b", {}, tensor.name), made ? ` = ${made}` : ""));
  });
  return make("ul", { class: "tensors", "aria-label": "Values of this part" }, ...rows);
}

function tensorDetails(tensor) {
  const source = sources[tensor.source];
  return [
    make("h3", {}, `${tensor.name} `, make("span", { class: "about" }, shapeText(tensor))),
    source ? make("p", { class: "source" }, make("code", {}, source.text), " ", make("span", { class: "about" }, source.line)) : "",
    ...(waitsFor("forward") ?? (state.step >= madeIn(partShown()) ? valueDetails(tensor) : [later("Computed", madeIn(partShown()))])),
  ].filter(Boolean);
}

function valueDetails(tensor) {
  if (!tensor.value.length) return [make("p", { class: "about" }, "It has no elements.")];
  const element = chosenElement(tensor);
  const choose = (place) => update({ element: place });
  const name = `${tensor.name}${indexText(tensor, element)}`;
  const numbers = withNumbers(tensor, element);
  return [
    make("h4", {}, "Value"),
    heatmap(`Value of ${tensor.name}`, tensor, tensor.value, element, choose),
    make("p", { class: "equation numbers" }, `${name} = ${numbers ? `${numbers} = ` : ""}`, make("b", {}, number(at(tensor, tensor.value, element)))),
    ...gradientDetails(tensor, element, choose, name),
  ];
}

function gradientDetails(tensor, element, choose, name) {
  if (!tensor.gradient) return [make("p", { class: "about" }, `No gradient of ${tensor.name} was recorded.`)];
  const waits = waitsFor("backward");
  if (waits) return [make("h4", {}, "Gradient"), ...waits];
  const arrives = arrivesIn(partShown());
  if (state.step < arrives) return [make("h4", {}, "Gradient"), later("Complete", arrives)];
  const back = handedBack(tensor, element).map(([input, rule, numbers]) =>
    make("li", {}, make("b", {}, input), ` receives ${rule}`, numbers ? make("span", { class: "numbers" }, ` = ${numbers}`) : ""));
  return [
    make("h4", {}, "Gradient"),
    heatmap(`Gradient of ${tensor.name}`, tensor, tensor.gradient, element, choose),
    make("p", { class: "equation numbers" }, `∂L/∂${name} = `, make("b", {}, number(at(tensor, tensor.gradient, element)))),
    back.length ? make("ul", { class: "back", "aria-label": "What it hands back" }, ...back) : "",
  ];
}

// Within a block that is stepped through op by op: what a later op of this step brings.
function waitsFor(phase) {
  if (!isInside() || partShown() !== steps[state.step].part || steps[state.step].phase !== phase) return null;
  const { ops: opOf } = insideOf(partShown());
  const at = playedAt(opOf[Math.min(state.tensor, opOf.length - 1)]);
  if (at <= state.op) return null;
  return [make("p", { class: "about" }, `${phase === "forward" ? "Computed" : "Complete"} with op ${at + 1} of this step.`)];
}

function later(what, step) {
  return make("p", { class: "about" }, `${what} in step ${step}. `,
    make("button", { type: "button", onclick: () => goTo(step) }, `Go to step ${step}`));
}

function chosenElement(tensor) {
  const [rows, columns] = shapeOf(tensor).kept;
  const place = state.element ?? largest(tensor.value, columns);
  return [Math.min(place[0], rows - 1), Math.min(place[1], columns - 1)];
}

// The ledger of a parameter's gradient

function renderLedger() {
  $("ledger").hidden = !ledgers.length;
  if (!ledgers.length) return;
  const ledger = ledgers[state.ledger];
  const tensor = tensors[ledger.tensor];
  const select = make("select", { id: "player-parameter", onchange: (event) => chooseLedger(Number(event.target.value)) },
    ...ledgers.map(({ name }, i) => make("option", { value: String(i), selected: i === state.ledger }, name)));
  $("ledger").replaceChildren(
    make("div", { class: "heading" }, make("h2", { id: "player-ledger-title" }, "Gradient ledger"), make("label", {}, "of ", select)),
    ...(ledger.rows.length ? ledgerDetails(ledger, tensor) : [make("p", { class: "about" }, `No gradient reached ${ledger.name}.`)]),
  );
  const row = $("ledger").querySelector("[aria-current]");
  scrollTo(row, row?.closest(".scroll"));
}

// Shows one of the rows in a box that scrolls, without moving the page.
function scrollTo(row, box) {
  if (box) box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
}

function ledgerDetails(ledger, tensor) {
  const arrived = ledger.rows.filter((row) => row.step <= state.step);
  const total = tensor.value.map((_, i) => arrived.reduce((sum, row) => sum + Number(row.term[i]), 0));
  const entry = state.entry ?? largest(tensor.gradient ?? total, columnsOf(tensor));
  const place = entry[0] * columnsOf(tensor) + entry[1];
  const label = `${ledger.name}${indexText(tensor, entry)}`;
  const complete = arrived.length === ledger.rows.length;
  return [
    make("p", { class: "about" }, `One parameter, shared by all copies: each use adds a row, and the rows sum to ${ledger.name}.grad.`),
    make("h4", {}, complete ? `${ledger.name}.grad` : `Sum so far: ${arrived.length} of ${ledger.rows.length} rows`),
    make("div", { class: "account" },
      heatmap(`Sum of the gradient of ${ledger.name}`, tensor, total.map((x) => Number(x.toPrecision(4))), entry, (to) => update({ entry: to })),
      ledgerTable(ledger, arrived.length, place, label)),
    complete && tensor.gradient ? recordedSum(tensor, entry, label) : "",
  ].filter(Boolean);
}

function recordedSum(tensor, entry, label) {
  return make("p", { class: "equation numbers" }, `Recorded: ∂L/∂${label} = `, make("b", {}, number(at(tensor, tensor.gradient, entry))));
}

function ledgerTable(ledger, arrived, place, label) {
  const most = Math.max(...ledger.rows.map((row) => (Number.isFinite(Number(row.norm)) ? Number(row.norm) : 0)), Number.MIN_VALUE);
  let sum = 0;
  const rows = ledger.rows.map((row, i) => {
    sum += Number(row.term[place]);
    return ledgerRow(row, i < arrived, sum, place, most);
  });
  const heads = ["step", "from", "‖term‖", `term at ${label}`, "sum so far"].map((text) => make("th", { scope: "col" }, text));
  return make("div", { class: "scroll rows", tabindex: "0", role: "region", "aria-label": "Rows of the ledger" },
    make("table", { class: "rows" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
}

function ledgerRow(row, arrived, sum, place, most) {
  const { t, layer } = parts[steps[row.step].part] ?? {};
  const from = t === undefined ? "the whole sequence" : `t = ${t}${layer === undefined ? "" : `, layer ${layer}`}`;
  const bar = make("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--length", arrived ? `${Math.round((Math.min(size(row.norm), most) / most) * 100)}%` : "0%");
  const numbers = [row.norm, row.term[place], Number(sum.toPrecision(4))].map((x) => (arrived ? number(x) : "·"));
  return make("tr", { class: arrived ? "" : "todo", "aria-current": row.step === state.step ? "step" : null },
    make("td", {}, String(row.step)), make("th", { scope: "row" }, from),
    make("td", {}, bar, numbers[0]), make("td", {}, numbers[1]), make("td", {}, numbers[2]));
}

// The picture

const element = (id) => (id ? picture.querySelector(`#${CSS.escape(prefix + id)}`) : null);
const idOf = (target) => target.id.slice(prefix.length);
const standIn = (id) => score.standIns[id] ?? id;
const appears = new Map(); // element -> the step with which it appears
const arrives = new Map(); // cell or port -> the step in which its gradient has arrived

// What of the picture comes with a step.
function shownBy({ phase, part }) {
  if (!parts[part]) return [];
  const { links = [], also = [], marks = [] } = parts[part];
  const ids = phase === "forward" ? [standIn(part), ...also, ...links] : [...[...links, ...also].map((id) => `gradient-${id}`), ...marks];
  return ids.map(element).filter(Boolean);
}

function preparePicture() {
  steps.forEach((step, i) => {
    for (const target of shownBy(step)) if (!appears.has(target)) appears.set(target, i);
    const target = step.phase === "backward" && element(standIn(step.part));
    if (target) arrives.set(target, i);
  });
  for (const id of Object.keys(parts)) {
    for (const target of [element(standIn(id)), element(`gradient-${id}`)]) if (target) open(target, id);
    for (const [op, tensor] of Object.entries(parts[id].ops ?? {})) {
      asButton(element(op), `${titleOf(parts[id])}: ${tensors[parts[id].tensors[tensor]].name}`, () => choosePart(id, tensor));
    }
  }
  const chips = picture.querySelectorAll(".parameter");
  ledgers.forEach(({ name }, i) => asButton(chips[i], `Ledger of ${name}`, () => chooseLedger(i)));
}

// Lets a part of the picture be chosen by mouse and keyboard.
function open(target, id) {
  if (target.hasAttribute("tabindex")) return;
  const canToggle = canOpen(id) && idOf(target) === id;
  const names = parts[id].tensors.map((i) => tensors[i].name).filter(Boolean);
  const label = `${idOf(target) === `gradient-${id}` ? "Gradient. " : ""}${titleOf(parts[id])}${names.length === 1 ? `: ${names[0]}` : ""}`;
  asButton(target, label, () => choosePart(pick(target, id)));
  if (!canToggle) return;
  target.setAttribute("aria-expanded", "false");
  target.addEventListener("click", () => toggle(id));
}

function asButton(target, label, action) {
  const tooltip = document.createElementNS("http://www.w3.org/2000/svg", "title");
  tooltip.textContent = label;
  target.querySelector("title")?.remove();
  target.prepend(tooltip);
  for (const [name, value] of [["tabindex", "0"], ["role", "button"], ["aria-label", label]]) target.setAttribute(name, value);
  target.addEventListener("click", action);
  target.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    action();
  });
}

// What stands for many copies shows the one that is being played, if it is one of them.
function pick(target, id) {
  const { part } = steps[state.step];
  return part && standIn(part) === idOf(target) ? part : id;
}

function renderPicture() {
  const step = steps[state.step];
  for (const [target, from] of appears) target.dataset.state = state.step >= from ? "done" : "todo";
  for (const [target, from] of arrives) target.dataset.gradient = state.step >= from ? "done" : "todo";
  for (const old of picture.querySelectorAll("[data-now]")) delete old.dataset.now;
  const targets = [element(standIn(step.part)), element(`column-${parts[step.part]?.column}`), ...shownBy(step)].filter(Boolean);
  const way = step.phase === "seed" ? "backward" : step.phase;
  for (const target of targets) target.dataset.now = way;
  for (const id of state.open) renderInside(id, way);
  for (const old of picture.querySelectorAll("[aria-pressed]")) old.removeAttribute("aria-pressed");
  if (state.chosen) element(standIn(state.chosen))?.setAttribute("aria-pressed", "true");
  return targets[0];
}

// Opened blocks: their drawings are stamped, and what stands beside and below makes room.

const insideOf = (id) => score.insides[parts[id].inside];
const canOpen = (id) => parts[id]?.inside !== undefined && element(id) !== null;
const OUTSIDE = ".strip, .mark, .legend, .ramp, .parameter, .title"; // stand in no column
const { width: closedWidth, height: closedHeight } = picture.viewBox.baseVal;
let geometry = null; // of the picture with all blocks closed, read when the first is opened

function numbersIn(text) {
  return (text.match(/-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?/g) ?? []).map(Number);
}

// A path as points from which others are not counted: [letter, [x, y], …] each.
function absolute(d) {
  const found = [];
  let here = [0, 0];
  for (const [, letter, rest] of d.matchAll(/([MLCZlcz])([^MLCZlcz]*)/g)) {
    const numbers = numbersIn(rest);
    const size = letter.toLowerCase() === "c" ? 6 : 2;
    if (letter.toLowerCase() === "z") found.push(["Z"]);
    for (let i = 0; i + size <= numbers.length; i += size) {
      const points = [];
      for (let k = i; k < i + size; k += 2) {
        const from = letter === letter.toLowerCase() ? here : [0, 0];
        points.push([numbers[k] + from[0], numbers[k + 1] + from[1]]);
      }
      found.push([letter.toUpperCase(), ...points]);
      here = points.at(-1);
    }
  }
  return found;
}

function readGeometry() {
  const shapes = [];
  for (const shape of picture.querySelectorAll("rect, ellipse, text, path, polygon, polyline")) {
    const get = (name) => Number(shape.getAttribute(name));
    const inColumns = shape.closest(OUTSIDE) === null;
    const isHead = shape.matches("path[fill]:not([fill=none])");
    const read = { shape, inColumns, isHead, heading: shape.closest(".heading") };
    if (shape.matches("rect")) Object.assign(read, { x: get("x"), y: get("y"), width: get("width"), height: get("height") });
    else if (shape.matches("ellipse")) Object.assign(read, { x: get("cx"), y: get("cy") });
    else if (shape.matches("text")) Object.assign(read, { x: get("x"), y: get("y"), anchor: shape.getAttribute("text-anchor"), size: shape.getAttribute("font-size") });
    else if (shape.matches("path")) read.path = absolute(shape.getAttribute("d"));
    else read.points = shape.getAttribute("points").trim().split(/\s+/).map(numbersIn);
    shapes.push(read);
    if (shape.matches("rect") && !boxes.has(shape.parentNode.id)) boxes.set(shape.parentNode.id, read);
  }
  for (const one of shapes) {
    if (one.heading) one.lines = shapes.filter(({ heading }) => heading === one.heading).map(({ x, y }) => [x, y]);
  }
  return shapes;
}

// What a way across the picture gains by the blocks that are opened in it: half before their middle, half behind it.
function rooms(along, across, length) {
  const found = new Map();
  for (const id of state.open) {
    const box = boxOf(id);
    const key = Math.round(box[along] + box[length] / 2);
    const room = found.get(key) ?? { from: -Infinity, to: Infinity, more: 0 };
    found.set(key, {
      from: Math.max(room.from, box[along]),
      to: Math.min(room.to, box[along] + box[length]),
      more: Math.max(room.more, frames[insideOf(id).frame][length] - box[length]),
    });
  }
  const all = [...found.values()];
  const at = (x) => all.reduce((sum, { from, to, more }) => sum + (x <= from + 1 ? 0 : x >= to - 1 ? more : more / 2), x);
  return { at, more: all.reduce((sum, room) => sum + room.more, 0) };
}

const boxes = new Map(); // of each part the first rectangle
const boxOf = (id) => boxes.get(prefix + id);

function layOut() {
  geometry ??= readGeometry();
  const [across, down] = [rooms("x", "y", "width"), rooms("y", "x", "height")];
  const move = (inColumns) => ([x, y]) => [inColumns ? across.at(x) : x, down.at(y)];
  for (const one of geometry) place(one, move(one.inColumns));
  const background = geometry.find(({ shape }) => shape.matches("polygon"));
  const [left, top] = [0, 1].map((i) => Math.min(...background.points.map((point) => point[i])));
  const edge = background.points.map(([x, y]) => [x > left ? x + across.more : x, y > top ? y + down.more : y]);
  background.shape.setAttribute("points", edge.join(" "));
  const [width, height] = [closedWidth + across.more, closedHeight + down.more];
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  picture.style.setProperty("--natural", `${width * 1.2}px`);
  for (const old of picture.querySelectorAll(".inside")) old.remove();
  for (const value of picture.querySelectorAll(".value")) value.removeAttribute("transform");
  for (const id of state.open) stamp(id);
}

function place({ shape, isHead, x, y, width, height, path, points, anchor, size, lines }, move) {
  const set = (values) => Object.entries(values).forEach(([name, value]) => shape.setAttribute(name, value));
  if (shape.matches("rect")) {
    const [[left, top], [right, bottom]] = [move([x, y]), move([x + width, y + height])];
    set({ x: left, y: top, width: right - left, height: bottom - top });
  } else if (shape.matches("ellipse")) {
    const [cx, cy] = move([x, y]);
    set({ cx, cy });
  } else if (shape.matches("text")) {
    const to = (lines ? rigidly(lines, move) : move)([x, y]);
    set({ x: to[0], y: to[1], "font-size": size });
    if (anchor === null) shape.removeAttribute("text-anchor");
    else set({ "text-anchor": anchor });
  } else if (path) {
    const all = path.flatMap((piece) => piece.slice(1));
    const moved = isHead ? rigidly(all, move) : move;
    set({ d: path.map(([letter, ...ends]) => letter + ends.map((end) => moved(end).map((n) => n.toFixed(1)).join(",")).join(" ")).join("") });
  } else {
    set({ points: points.map(rigidly(points, move)).join(" ") });
  }
}

// Arrowheads, chips and the lines of a heading keep their form.
function rigidly(points, move) {
  const middle = [0, 1].map((i) => points.reduce((sum, point) => sum + point[i], 0) / points.length);
  const to = move(middle);
  return ([x, y]) => [x + to[0] - middle[0], y + to[1] - middle[1]];
}

function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const numberOf = (id) => id.replace(/^cell-/, "");

// The drawing of a block's inside, at its place and under its ids; the texts of the block stand along its top.
function stamp(id) {
  const { frame, ways } = insideOf(id);
  const drawing = $("insides").content.querySelectorAll("svg")[frame];
  const outline = drawing.querySelector("[id='@'] rect");
  const get = (shape, name) => Number(shape.getAttribute(name));
  const middle = (shape) => [get(shape, "x") + get(shape, "width") / 2, get(shape, "y") + get(shape, "height") / 2];
  const box = boxOf(id).shape;
  const [from, to] = [middle(outline), middle(box)];
  const group = drawn("g", { class: "inside", transform: `translate(${to[0] - from[0]} ${to[1] - from[1]})` });
  group.id = `${prefix}inside-${id}`;
  for (const [d, isState] of ways) {
    const way = drawn("g", { class: isState ? "wire state-way" : "wire", transform: `translate(${from[0]} ${from[1]})` });
    way.append(drawn("path", { d: d + extended(d, frames[frame], box) }));
    group.append(way);
  }
  for (const part of drawing.querySelectorAll("g > g[id]")) {
    if (part.id === "@") continue;
    const copy = document.importNode(part, true);
    copy.id = prefix + part.id.replace("@", numberOf(id));
    copy.dataset.inside = part.id;
    group.append(copy);
    const op = /^op-/.test(part.id) ? frames[frame].order[part.id] : undefined;
    const tensor = insideOf(id).values[op];
    if (tensor >= 0) asButton(copy, `${titleOf(parts[id])}: ${tensors[parts[id].tensors[tensor]].name}`, () => choosePart(id, tensor));
  }
  element(id).after(group);
  written(id, box);
}

// A block that shares its column or row with a larger one is larger than its frame: its arrows are led on to that.
function extended(d, frame, box) {
  const [x, y] = absolute(d)[0][1];
  const [across, down] = ["width", "height"].map((name) => (Number(box.getAttribute(name)) - frame[name]) / 2);
  const far = { left: x + frame.width / 2, right: frame.width / 2 - x, top: y + frame.height / 2, bottom: frame.height / 2 - y };
  const side = Object.keys(far).reduce((best, name) => (Math.abs(far[name]) < Math.abs(far[best]) ? name : best));
  const to = { left: [x - across, y], right: [x + across, y], top: [x, y - down], bottom: [x, y + down] }[side];
  return Math.abs(to[0] - x) + Math.abs(to[1] - y) < 0.5 ? "" : `M${x},${y}L${to}`;
}

// What a block says of itself, along its top: its name, the norms of its gradients, and below them its values.
function written(id, box) {
  const get = (name) => Number(box.getAttribute(name));
  const [left, top, right] = [get("x") + 11, get("y"), get("x") + get("width") - 11];
  const texts = [...element(id).querySelectorAll("text")];
  const values = [...picture.querySelectorAll(`[id^="${CSS.escape(`${prefix}value-${id}-`)}"]`)];
  const corners = values.map((value) => numbersIn(value.querySelector("polygon").getAttribute("points")));
  const [x, y] = [0, 1].map((i) => Math.min(...corners.flatMap((numbers) => numbers.filter((_, at) => at % 2 === i))));
  const line = top + 17 * Math.max(texts.length - 1, 1) + 5;
  for (const value of values) value.setAttribute("transform", `translate(${left - x} ${line - y})`);
  texts.forEach((text, i) => {
    text.setAttribute("x", i ? right : left);
    text.setAttribute("y", top + 17 * Math.max(i, 1));
    text.setAttribute("text-anchor", i ? "end" : "start");
    if (!i) text.setAttribute("font-size", 13);
  });
}

function renderInside(id, way) {
  const { frame, values } = insideOf(id);
  const isPlayed = steps[state.step].part === id && isInside();
  const made = state.step >= stepOf.forward[id] && !(isPlayed && way === "forward");
  for (const part of picture.querySelectorAll(`#${CSS.escape(`${prefix}inside-${id}`)} > g`)) {
    const order = frames[frame].order[part.dataset.inside];
    const done = made || (isPlayed && (order ?? values.length - 1) <= state.op);
    part.dataset.state = done ? "done" : "todo";
    if (isPlayed && order !== undefined && playedAt(order) === state.op) part.dataset.now = way;
  }
}

function toggle(id) {
  if (!canOpen(id)) return;
  if (!state.open.delete(id)) state.open.add(id);
  element(id).setAttribute("aria-expanded", String(state.open.has(id)));
  layOut();
  const isPlayed = steps[state.step].part === id;
  update(isPlayed ? { op: opsIn(state.step) ? 0 : null, ...opShown(state.step, 0) } : {});
  follow(element(id));
}

// The ops of an opened block, one after the other: in the backward pass from the last to the first

function opsIn(step) {
  const { phase, part } = steps[step];
  if (!["forward", "backward"].includes(phase) || !state.open.has(part)) return 0;
  return insideOf(part).values.length;
}

const isInside = () => state.op !== null && opsIn(state.step) > 0;
const playedAt = (order) => (steps[state.step].phase === "backward" ? opsIn(state.step) - 1 - order : order);

// What the card shows with an op, if it follows what is played.
function opShown(step, op) {
  const { part, phase } = steps[step];
  const count = opsIn(step);
  if (!count || (state.chosen !== null && state.chosen !== part)) return {};
  const order = phase === "backward" ? count - 1 - op : op;
  return { tensor: Math.max(insideOf(part).values[order], 0), element: null };
}

function opText() {
  const { part, phase } = steps[state.step];
  const { values } = insideOf(part);
  const tensor = tensors[parts[part].tensors[values[playedAt(state.op)]]];
  const where = `${titleOf(parts[part])}, op ${state.op + 1} of ${values.length}`;
  if (!tensor) return where;
  if (phase === "forward") return `${where}: ${tensor.name} = ${equation(tensor)}`;
  const inputs = [...new Set((tensor.inputs ?? []).filter((input) => !Array.isArray(input)).map(inputName))];
  return `${where}: the gradient of ${tensor.name} has arrived, and is handed on to ${inputs.join(" and ")}`;
}

// One step on or back, or one op where a block is open.
function move(by) {
  pause();
  const op = (state.op ?? 0) + by;
  if (isInside() && op >= 0 && op < opsIn(state.step)) update({ op, ...opShown(state.step, op) });
  else goTo(state.step + by, {}, by > 0 ? 0 : undefined);
}

// Keeps what is played in sight, without moving the page itself.
function follow(target) {
  if (!target) return;
  const [box, stage] = [target.getBoundingClientRect(), $("stage").getBoundingClientRect()];
  if (box.left >= stage.left + 40 && box.right <= stage.right - 40) return;
  const left = $("stage").scrollLeft + (box.left + box.right) / 2 - (stage.left + stage.right) / 2;
  $("stage").scrollTo({ left, behavior: calm.matches ? "auto" : "smooth" });
}

// The whole page

function render() {
  const step = steps[state.step];
  const phase = { start: "Start", end: "End" }[step.phase] ?? (step.phase === "forward" ? "Forward" : "Backward");
  root.dataset.phase = step.phase === "seed" ? "backward" : step.phase;
  root.dataset.playing = String(state.playing);
  $("scrubber").value = String(state.step);
  $("scrubber").setAttribute("aria-valuetext", `step ${state.step} of ${last}, ${phase.toLowerCase()}`);
  $("counter").textContent = `${state.step} / ${last}${isInside() ? ` · ${state.op + 1} / ${opsIn(state.step)}` : ""}`;
  $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  $("status").setAttribute("aria-live", state.playing ? "off" : "polite"); // nobody can listen that fast
  $("status").replaceChildren(make("b", {}, phase), " ", make("span", {}, isInside() ? opText() : step.text));
  for (const name of ["first", "back"]) $(name).setAttribute("aria-disabled", String(state.step === 0));
  for (const name of ["next", "last"]) $(name).setAttribute("aria-disabled", String(state.step === last));
  renderPart();
  renderLedger();
  return renderPicture();
}

// Changes the state and shows it.
function update(changes) {
  Object.assign(state, changes);
  const target = keepingFocus(render);
  if ("step" in changes) follow(target);
}

const FOCUSABLE = "button, select, [tabindex]";

// Cards are made anew; the focus stays on what is now in the place of what had it, in a grid on the chosen element.
function keepingFocus(change) {
  const card = root.contains(document.activeElement) ? document.activeElement.closest(".card") : null;
  const place = card ? [...card.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) : -1;
  const result = change();
  if (place >= 0) {
    const target = [...card.querySelectorAll(FOCUSABLE)][place] ?? card;
    (target.closest("[role=grid]")?.querySelector("[tabindex='0']") ?? target).focus();
  }
  return result;
}

function chooseLedger(ledger) {
  update({ ledger, entry: null });
}

function choosePart(id, tensor = 0) {
  update({ chosen: id, tensor, element: null });
}

// `op`: with which op of an opened block the step begins; its last one, unless said otherwise.
function goTo(step, changes = {}, op = undefined) {
  const to = Math.min(Math.max(step, 0), last);
  const moved = state.chosen === null && steps[to].part !== steps[state.step].part;
  const count = opsIn(to);
  const at = count ? op ?? count - 1 : null;
  update({ step: to, op: at, ...(moved ? { tensor: 0, element: null } : {}), ...(count ? opShown(to, at) : {}), ...changes });
}

// Playing

let timer = 0;

function play() {
  clearTimeout(timer);
  goTo(state.step === last ? 0 : state.step, { playing: true });
  wait();
}

function wait() {
  timer = setTimeout(() => {
    const op = (state.op ?? 0) + 1;
    if (isInside() && op < opsIn(state.step)) update({ op, ...opShown(state.step, op) });
    else goTo(state.step + 1, { playing: state.step + 1 < last }, 0);
    if (state.playing) wait();
  }, 1000 / Number($("speed").value));
}

function pause() {
  clearTimeout(timer);
  if (state.playing) update({ playing: false });
}

function stepTo(step) {
  pause();
  goTo(step);
}

// The same kind of step: at timestep t, or at this timestep in another layer.
function jump(t) {
  const back = ["seed", "backward", "end"].includes(steps[state.step].phase);
  const found = steps.findIndex((step) => parts[step.part]?.t === t && (step.phase === "backward") === back);
  if (found >= 0) stepTo(found);
}

function changeLayer(by) {
  const here = parts[state.chosen ?? steps[state.step].part];
  if (here?.layer === undefined) return;
  const part = `cell-${here.layer + by}-${here.t}`;
  if (!parts[part]) return;
  if (state.chosen !== null) choosePart(part);
  else stepTo(stepOf[steps[state.step].phase][part] ?? state.step);
}

function changeSpeed(by) {
  const select = $("speed");
  select.selectedIndex = Math.min(Math.max(select.selectedIndex + by, 0), select.length - 1);
}

// Theme

const dark = matchMedia("(prefers-color-scheme: dark)");

function showTheme(theme) {
  if (theme !== "print") root.dataset.theme = theme;
  $("theme").hidden = theme === "print";
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function switchTheme() {
  showTheme(root.dataset.theme === "dark" ? "light" : "dark");
}

// What people do

const KEYS = {
  " ": () => (state.playing ? pause() : play()),
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  Home: () => stepTo(0),
  End: () => stepTo(last),
  ArrowUp: () => changeLayer(1),
  ArrowDown: () => changeLayer(-1),
  t: () => $("jump").focus(),
  "[": () => changeSpeed(-1),
  "]": () => changeSpeed(1),
  d: () => root.dataset.theme !== "print" && switchTheme(),
  o: () => toggle(document.activeElement?.closest?.("[aria-expanded]") && root.contains(document.activeElement)
    ? idOf(document.activeElement.closest("[aria-expanded]")) : partShown()),
  Escape: () => choosePart(null),
  "?": () => $("keys").showModal(),
};

function onKey(event) {
  const action = KEYS[event.key];
  const isTyping = event.target.closest("input, select, dialog");
  const presses = event.key === " " && event.target.closest("button");
  if (!action || isTyping || presses || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
}

function listen() {
  const clicks = {
    first: KEYS.Home,
    back: KEYS.ArrowLeft,
    play: KEYS[" "],
    next: KEYS.ArrowRight,
    last: KEYS.End,
    theme: switchTheme,
    help: KEYS["?"],
    close: () => $("keys").close(),
  };
  for (const [name, action] of Object.entries(clicks)) $(name).addEventListener("click", action);
  $("scrubber").addEventListener("input", (event) => stepTo(Number(event.target.value)));
  $("jump").addEventListener("change", (event) => event.target.value !== "" && jump(Number(event.target.value)));
  (isPage ? document : root).addEventListener("keydown", onKey);
}

function start() {
  const count = (phases) => steps.filter((step) => phases.includes(step.phase)).length;
  const spans = [["forward", count(["start", "forward"])], ["backward", count(["seed", "backward", "end"])]];
  for (const [name, length] of spans) {
    if (!length) continue;
    const span = make("span", { class: name }, name);
    span.style.flexGrow = String(length);
    $("phases").append(span);
  }
  $("scrubber").max = String(last);
  $("jump").max = String(Math.max(...Object.values(parts).map((part) => part.t ?? 0)));
  $("notes").replaceChildren(...score.notes.map((note) => make("p", {}, note)));
  for (const part of root.querySelectorAll("[data-live]")) part.hidden = false;
  $("still").hidden = true;
  const { width, height } = picture.viewBox.baseVal;
  root.dataset.many = String(picture.querySelectorAll(".column").length > 16);
  root.dataset.wide = String(width > 1.7 * height);
  picture.style.setProperty("--natural", `${width * 1.2}px`);
  const theme = root.dataset.theme;
  showTheme(theme === "system" ? (dark.matches ? "dark" : "light") : theme);
  preparePicture();
  listen();
  render();
  if (isPage && parent !== window) {
    root.dataset.framed = "true";
    // of a frame that is not in sight no observer tells, and before it is loaded it may have no size
    addEventListener("load", tellHeight);
    addEventListener("resize", tellHeight);
    new ResizeObserver(tellHeight).observe(root);
  }
}

// A frame cannot grow by itself: what holds it is told how high the player is, and nothing else.
function tellHeight() {
  parent.postMessage({ tinygradPlayerHeight: root.offsetHeight }, "*");
}

start();
})(document.querySelector(".tinygrad-player:not([data-playing])"));
