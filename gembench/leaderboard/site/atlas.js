"use strict";
// The page is whole without this: it adds the replay of the search and the facts of the model that is pointed at.
(() => {
  const MILLISECONDS_A_STAGE = 1500;
  const REACH = 24; // how far from a model the pointer may be, in units of the picture, which is 1,000 wide
  const find = (id) => document.getElementById(id);
  const map = find("map");
  const circles = [...find("nodes").children];
  const texts = circles.map((circle) => circle.textContent.split(/\n+/));
  const places = circles.map((circle) => ["cx", "cy", "r"].map((name) => Number(circle.getAttribute(name))));

  // The stages.
  const fading = [...map.querySelectorAll("[data-last]")].map((element) => [element, Number(element.dataset.last)]);
  const rows = [...find("stage-table").tBodies[0].rows];
  const slider = find("stage");
  const label = find("stage-label");
  const labels = [...rows.map((row) => row.dataset.label), label.textContent];
  const play = find("play");
  let timer = null;

  function show(stage) {
    const isEnd = stage === labels.length;
    slider.value = stage;
    slider.setAttribute("aria-valuetext", labels[stage - 1]);
    label.textContent = labels[stage - 1];
    find("atlas").classList.toggle("running", !isEnd);
    for (const [element, last] of fading) {
      element.classList.toggle("out", !isEnd && last < stage);
      element.classList.toggle("just", !isEnd && last === stage - 1);
    }
    rows.forEach((row, place) => {
      if (place === stage - 1) row.setAttribute("aria-current", "step");
      else row.removeAttribute("aria-current");
    });
    find("previous").disabled = stage === 1;
    find("next").disabled = isEnd;
    if (isEnd) stop();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function step(stage) {
    stop();
    show(Math.min(Math.max(stage, 1), labels.length));
  }

  slider.addEventListener("input", () => step(Number(slider.value)));
  find("previous").addEventListener("click", () => step(Number(slider.value) - 1));
  find("next").addEventListener("click", () => step(Number(slider.value) + 1));
  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (Number(slider.value) === labels.length) show(1);
    play.textContent = "Pause";
    timer = setInterval(() => show(Number(slider.value) + 1), MILLISECONDS_A_STAGE);
  });

  // One model.
  const select = find("model");
  const here = document.createElementNS(map.namespaceURI, "circle");
  const lineage = document.createElementNS(map.namespaceURI, "path");
  here.setAttribute("class", "here");
  lineage.setAttribute("class", "lineage");
  let chosen = null;

  function point(model) {
    if (model === chosen) return;
    chosen = model;
    here.remove();
    lineage.remove();
    find("facts").textContent = model === null ? "" : texts[model].join("\n");
    select.value = model === null ? "" : model;
    if (model === null) return;
    const [x, y, radius] = places[model];
    here.setAttribute("cx", x);
    here.setAttribute("cy", y);
    here.setAttribute("r", radius + 4);
    const line = [];
    for (let each = model; each !== undefined; each = circles[each].dataset.parent) line.push(places[each].slice(0, 2));
    lineage.setAttribute("d", `M${line.join("L")}`);
    map.append(lineage, here);
  }

  function nearest(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    let model = null;
    let least = REACH;
    places.forEach(([cx, cy, radius], place) => {
      const distance = Math.hypot(cx - x, cy - y) - radius;
      if (distance < least) [model, least] = [place, distance];
    });
    return model;
  }

  circles.forEach((circle, place) => {
    circle.firstElementChild.remove(); // the browser would show its title beside ours
    select.append(new Option(texts[place][0], place));
  });
  map.addEventListener("pointermove", (event) => {
    const model = nearest(event);
    if (model !== null) point(model);
  });
  map.addEventListener("click", (event) => point(nearest(event)));
  select.addEventListener("change", () => point(select.value === "" ? null : Number(select.value)));

  show(labels.length);
  find("controls").hidden = false;
  find("one").hidden = false;
})();
