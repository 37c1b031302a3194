// The listening page: filters, the list of clips, the player, flags.

const report = JSON.parse(document.getElementById("clips").textContent);
const list = document.getElementById("list");

if (list) {
  const $ = (id) => document.getElementById(id);
  const clips = report.clips, audio = $("audio");
  const flags = new Set(JSON.parse(memory.get(`kagglekit-flags-${report.competition}`) || "[]"));
  let shown = [], at = -1, sound = null, opened = 0;

  const rows = clips.map((clip, index) => {
    const row = document.createElement("li");
    row.setAttribute("role", "option");
    row.id = `clip-${index}`;
    const truth = document.createElement("b");
    truth.textContent = clip.word && clip.word !== clip.truth ? `${clip.truth} (${clip.word})` : clip.truth;
    const mark = document.createElement("span");
    mark.className = "flagged";
    row.append(truth, ` → ${clip.predicted}`, mark);
    row.addEventListener("click", () => { open(shown.indexOf(index)); play(); });
    return row;
  });

  function fill(select, values) {
    for (const value of [...new Set(values)].sort()) select.add(new Option(value, value));
  }
  fill($("by-truth"), clips.map((clip) => clip.truth));
  fill($("by-predicted"), clips.map((clip) => clip.predicted));
  fill($("by-part"), clips.map((clip) => clip.part));

  function fits(clip) {
    const text = $("by-text").value.trim().toLowerCase();
    return (!$("by-truth").value || clip.truth === $("by-truth").value)
      && (!$("by-predicted").value || clip.predicted === $("by-predicted").value)
      && (!$("by-part").value || clip.part === $("by-part").value)
      && (!$("by-flag").checked || flags.has(clip.id))
      && (!text || `${clip.id} ${clip.word} ${clip.speaker}`.toLowerCase().includes(text));
  }

  function filter() {
    const before = shown[at];
    shown = [...clips.keys()].filter((index) => fits(clips[index]));
    list.replaceChildren(...shown.map((index) => rows[index]));
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${clips.length.toLocaleString("en")}`;
    $("stage").hidden = !shown.length;
    if (shown.length) open(Math.max(shown.indexOf(before), 0));
  }
  for (const id of ["by-truth", "by-predicted", "by-part", "by-flag"]) $(id).addEventListener("change", filter);
  $("by-text").addEventListener("input", filter);

  async function samplesOf(clip) {
    if (!report.served) return Uint8Array.from(atob(clip.wav), (letter) => letter.charCodeAt(0)).buffer;
    return (await fetch(addressOf(clip))).arrayBuffer();
  }
  function addressOf(clip) {
    return report.served ? `/audio/${clip.split}/${clip.row}.wav` : `data:audio/wav;base64,${clip.wav}`;
  }

  function open(place) {
    if (rows[shown[at]]) rows[shown[at]].removeAttribute("aria-selected");
    for (const row of list.querySelectorAll("[aria-selected]")) row.removeAttribute("aria-selected");
    at = place;
    const clip = clips[shown[at]], row = rows[shown[at]];
    row.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", row.id);
    if (!$("listening").hidden) row.scrollIntoView({ block: "nearest" });
    describe(clip);
    audio.src = addressOf(clip);
    draw(clip);
  }

  function describe(clip) {
    $("truth").textContent = clip.word && clip.word !== clip.truth ? `${clip.truth} (${clip.word})` : clip.truth;
    $("predicted").textContent = clip.predicted;
    const facts = [clip.id, clip.speaker && `group ${clip.speaker}`, clip.part, `fold ${clip.fold}`, clip.level !== null && `${clip.level} dB`, clip.problem];
    $("facts").textContent = [...facts.filter(Boolean), `log-loss ${clip.loss.toFixed(2)}`].join(" · ");
    $("answers").tBodies[0].replaceChildren(...clip.models.map(([model, answers]) => {
      const row = document.createElement("tr");
      row.insertCell().textContent = model;
      for (const [label, prob] of answers) {
        const cell = row.insertCell(), meter = document.createElement("meter");
        meter.value = prob;
        meter.setAttribute("aria-label", label);
        if (label === clip.truth) cell.className = "right";
        cell.append(meter, `${label} ${(100 * prob).toFixed(0)} %`);
      }
      return row;
    }));
    showFlag(clip);
  }

  async function draw(clip) {
    const ours = ++opened;
    const read = readWav(await samplesOf(clip));
    if (ours !== opened) return; // another clip was opened meanwhile
    sound = read;
    paint();
  }
  function paint() {
    if (!sound || $("listening").hidden) return;
    drawWave($("wave"), sound);
    drawSpectrogram($("spectrogram"), sound);
    $("high").textContent = `${sound.rate / 2000} kHz, mel`;
    $("low").textContent = `0 to ${+(sound.samples.length / sound.rate).toFixed(2)} s`;
  }
  document.addEventListener("page", paint);
  document.addEventListener("theme", paint);

  function play() {
    audio.currentTime = 0;
    audio.play().catch(() => {}); // some browsers play nothing before the first click
  }
  function follow() {
    $("head").hidden = audio.paused;
    if (audio.paused || !audio.duration) return;
    $("head").style.left = `${100 * audio.currentTime / audio.duration}%`;
    requestAnimationFrame(follow);
  }
  audio.addEventListener("play", follow);
  audio.addEventListener("pause", follow);

  function showFlag(clip) {
    const flagged = flags.has(clip.id);
    $("flag").setAttribute("aria-pressed", String(flagged));
    for (const [index, row] of rows.entries()) row.lastChild.textContent = flags.has(clips[index].id) ? "⚑" : "";
    $("export").disabled = !flags.size;
    $("export").textContent = flags.size ? `Export ${flags.size} flagged as CSV` : "Export flags as CSV";
  }
  function toggleFlag() {
    const clip = clips[shown[at]];
    if (!flags.delete(clip.id)) flags.add(clip.id);
    memory.set(`kagglekit-flags-${report.competition}`, JSON.stringify([...flags]));
    showFlag(clip);
  }

  // Quoted as in RFC 4180, because a file name may hold a comma.
  function toCsv() {
    const quoted = (text) => /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    return ["clip_id", ...[...flags].map(quoted)].join("\n") + "\n";
  }
  function exportFlags() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([toCsv()], { type: "text/csv" }));
    link.download = "flagged.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const go = (step) => { if (shown.length) { open((at + step + shown.length) % shown.length); play(); } };
  $("before").addEventListener("click", () => go(-1));
  $("after").addEventListener("click", () => go(1));
  $("play").addEventListener("click", play);
  $("flag").addEventListener("click", toggleFlag);
  $("export").addEventListener("click", exportFlags);
  document.querySelector(".sound").addEventListener("click", play);
  document.addEventListener("keydown", (event) => {
    if ($("listening").hidden || isTyping(event) || !shown.length) return;
    const act = { j: () => go(1), ArrowDown: () => go(1), k: () => go(-1), ArrowUp: () => go(-1), " ": play, f: toggleFlag }[event.key];
    if (!act || (event.key === " " && event.target.tagName === "BUTTON")) return;
    if (event.target.closest("svg")) return; // there, arrow keys move along a chart
    event.preventDefault();
    act();
  });
  filter();
}

openPage(location.hash.slice(1), false);
