"use strict";

// The theme is Airflow's, also when it changes. Outside of its frame it is that of the system.
const root = document.documentElement;
let outer = null;
try { outer = window.parent !== window ? window.parent.document.documentElement : null; } catch { outer = null; }
const charts = [];

function follow() {
  const system = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const dark = outer ? outer.classList.contains("dark") : system;
  if (root.classList.contains("dark") !== dark || charts.length === 0) {
    root.classList.toggle("dark", dark);
    drawAll();
  }
}

function color(name) { return getComputedStyle(root).getPropertyValue(name).trim(); }

function day(seconds) { return new Date(seconds * 1000).toISOString().slice(0, 10); }

function draw(place) {
  const { days, series } = JSON.parse(place.dataset.chart);
  const x = days.map((day) => Date.parse(day) / 1000);
  const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const colors = ["--one", "--two", "--three"];
  const known = (values) => values.filter((value) => value !== null).length;
  const options = {
    width: Math.max(200, place.clientWidth),
    height: 200,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    axes: [{ ...axis, space: 80, values: (_, times) => times.map(day) }, { ...axis, size: 72 }],
    series: [{ label: "day", value: (_, time) => (time === null ? "–" : day(time)) }].concat(series.map((one, index) => ({
      label: one.name, stroke: color(colors[index % 3]), width: 1.5, spanGaps: true,
      points: { show: known(one.values) < 40 },
    }))),
  };
  return new uPlot(options, [x, ...series.map((one) => one.values)], place);
}

function drawAll() {
  charts.splice(0).forEach((chart) => chart.destroy());
  if (typeof uPlot === "undefined") return;
  document.querySelectorAll(".plot").forEach((place) => charts.push(draw(place)));
}

if (outer) {
  root.classList.add("framed");
  new MutationObserver(follow).observe(outer, { attributes: true, attributeFilter: ["class"] });
}
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
follow();

let resized = null;
window.addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => document.querySelectorAll(".plot").forEach((place, index) => {
    if (charts[index]) charts[index].setSize({ width: Math.max(200, place.clientWidth), height: 200 });
  }), 150);
});

// Filter the list while you type.
const find = document.getElementById("q");
if (find) {
  const rows = [...document.querySelectorAll(".pipelines tbody tr")];
  const texts = rows.map((row) => row.querySelector("th").textContent + " " + row.querySelector(".reason").textContent);
  find.addEventListener("input", () => {
    const word = find.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = texts[index].toLowerCase().includes(word);
      row.hidden = !fits;
      row.style.display = fits ? "" : "none";
      shown += fits;
    });
    document.getElementById("matches").textContent = word ? `${shown} of ${rows.length}` : "";
  });
}

document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}));

// A button asks once more, and then calls Airflow's own REST API with the user's own session.
document.querySelectorAll("[data-post]").forEach((button) => {
  const label = button.textContent;
  let asked = null;
  button.addEventListener("click", async () => {
    const answer = document.getElementById("answer");
    if (!asked) {
      button.textContent = "Yes, do it";
      answer.textContent = button.dataset.ask;
      asked = setTimeout(() => { asked = null; button.textContent = label; answer.textContent = ""; }, 8000);
      return;
    }
    clearTimeout(asked);
    asked = null;
    button.textContent = label;
    button.disabled = true;
    try {
      const response = await fetch(document.body.dataset.airflow + button.dataset.post, {
        method: "POST", credentials: "same-origin", body: button.dataset.body,
        headers: { "Content-Type": "application/json", "Accept": "application/json" },
      });
      const body = await response.json();
      answer.textContent = response.ok
        ? `Airflow has taken it: ${body.dag_run_id || "the tasks are cleared"}.`
        : `Airflow refused: ${response.status} ${typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail)}`;
    } catch (error) {
      answer.textContent = `Airflow did not answer: ${error.message}`;
    }
    button.disabled = false;
  });
});
