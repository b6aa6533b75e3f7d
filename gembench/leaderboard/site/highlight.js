// One policy at a time stands out in all charts: the chosen one, or the one whose mark is nearest to the pointer.
const charts = document.querySelector(".charts");
const chosen = document.getElementById("picked");
const marksOf = new Map();
for (const mark of charts.querySelectorAll("[data-policy]")) {
  const policy = mark.dataset.policy;
  if (!marksOf.has(policy)) marksOf.set(policy, []);
  marksOf.get(policy).push(mark);
}
const names = new Map([...chosen.options].map((option) => [option.value, option.text]));
const notes = charts.querySelectorAll(".picked");
let shown = "";

function show(policy) {
  if (policy === shown) return;
  for (const mark of marksOf.get(shown) ?? []) mark.classList.remove("on");
  for (const mark of marksOf.get(policy) ?? []) mark.classList.add("on");
  charts.classList.toggle("picking", policy !== "");
  for (const note of notes) note.textContent = policy === "" ? "" : names.get(policy);
  shown = policy;
}

// The points that a mark joins, in pixels of its drawing.
function pointsOf(mark) {
  if (mark.matches(".point")) {
    const { e, f } = mark.transform.baseVal[0].matrix;
    return [[e, f]];
  }
  const line = mark.getAttribute("d").slice(1).split("M")[0];
  return line.split("L").map((pair) => pair.split(",").map(Number));
}

function distance([x, y], points) {
  let least = Infinity;
  points.forEach(([x1, y1], place) => {
    const [x2, y2] = points[place + 1] ?? [x1, y1];
    const squared = (x2 - x1) ** 2 + (y2 - y1) ** 2;
    const along = squared ? Math.min(1, Math.max(0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / squared)) : 0;
    least = Math.min(least, Math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1)));
  });
  return least;
}

const NEAR = 18;
for (const drawing of charts.querySelectorAll("svg")) {
  let marks;
  const nearest = (event) => {
    const label = event.target.closest(".label");
    if (label) return label.dataset.policy;
    marks ??= [...drawing.querySelectorAll(".series, .point")].map((mark) => [mark.dataset.policy, pointsOf(mark)]);
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
    let [policy, least] = [chosen.value, NEAR];
    for (const [each, points] of marks) {
      const away = distance([at.x, at.y], points);
      if (away < least) [policy, least] = [each, away];
    }
    return policy;
  };
  drawing.addEventListener("pointermove", (event) => show(nearest(event)));
  drawing.addEventListener("pointerleave", () => show(chosen.value));
  drawing.addEventListener("click", (event) => {
    const policy = nearest(event);
    chosen.value = policy === chosen.value ? "" : policy;
    show(chosen.value);
  });
}
chosen.addEventListener("change", () => show(chosen.value));
show(chosen.value); // a browser may keep a choice when it loads the page again
