// The page works without this; it makes it live.
"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode */ } };
  let theme = themes.includes(stored("theme")) ? stored("theme") : "auto";
  const applyTheme = () => { root.dataset.theme = theme; };
  applyTheme();

  // Words for a time span, as the server has them.
  const pair = (s, big, b, small, c) => Math.floor(s / big) + b + (Math.floor(s % big / small) ? " " + Math.floor(s % big / small) + c : "");
  const short = (s) => {
    s = Math.max(0, Math.floor(s));
    if (s < 60) return s + "s";
    if (s < 3600) return pair(s, 60, "m", 1, "s");
    if (s < 172800) return pair(s, 3600, "h", 60, "m");
    return pair(s, 86400, "d", 3600, "h");
  };

  let skew = 0; // the server's clock minus ours
  const count = () => {
    const now = Date.now() + skew;
    for (const t of document.querySelectorAll("time[data-ago], time[data-left]")) {
      const at = Date.parse(t.dateTime);
      const words = short((t.hasAttribute("data-ago") ? now - at : at - now) / 1000);
      if (t.textContent !== words) t.textContent = words;
    }
    for (const p of document.querySelectorAll("progress[data-until]")) {
      p.value = p.max - Math.max(0, (Date.parse(p.dataset.until) - now) / 1000);
    }
  };

  // morph changes a into b, touching only what differs, so that focus, selection,
  // scrolling and opened details stay.
  const morph = (a, b) => {
    if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) { a.replaceWith(b); return; }
    if (a.nodeType !== Node.ELEMENT_NODE) {
      if (a.nodeValue !== b.nodeValue) a.nodeValue = b.nodeValue;
      return;
    }
    for (const { name } of [...a.attributes]) {
      if (!b.hasAttribute(name) && !(a.nodeName === "DETAILS" && name === "open")) a.removeAttribute(name);
    }
    for (const { name, value } of b.attributes) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
    children(a, b);
  };
  const children = (a, b) => {
    const want = [...b.childNodes], have = [...a.childNodes];
    want.forEach((node, i) => { if (have[i]) morph(have[i], node); else a.append(node); });
    have.slice(want.length).forEach((node) => node.remove());
  };
  const patch = (regions) => {
    for (const [id, html] of Object.entries(regions)) {
      const el = document.getElementById(id);
      if (!el) continue;
      const t = document.createElement("template");
      t.innerHTML = html;
      children(el, t.content);
    }
  };

  let boot = null, source = null, retry = 0;
  const say = (state, words) => {
    const el = document.getElementById("live");
    el.dataset.state = state;
    if (el.textContent !== words) el.textContent = words;
  };
  const take = (e) => {
    const m = JSON.parse(e.data);
    if (m.boot) {
      if (boot !== null && boot !== m.boot) { location.reload(); return; }
      boot = m.boot;
    }
    skew = Date.parse(m.now) - Date.now();
    document.title = m.title + " · dualgram";
    patch(m.regions);
    count();
    say("on", "live");
  };
  const connect = () => {
    source = new EventSource("/events");
    source.addEventListener("hello", take);
    source.addEventListener("patch", take);
    source.onopen = () => { retry = 0; };
    source.onerror = () => {
      say("off", "not live: connecting");
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      retry = Math.min(30, retry * 2 || 2);
      setTimeout(connect, retry * 1000);
    };
  };

  // Only the fields that the chosen action has.
  const fields = (select) => {
    const option = select.selectedOptions[0], form = select.form;
    for (const p of form.querySelectorAll("[data-for]")) {
      p.hidden = p.dataset.for === "timed" ? !option.hasAttribute("data-timed") : option.value !== "drill";
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (button) {
      const label = () => { button.textContent = "Theme: " + theme; };
      label();
      button.hidden = false;
      button.addEventListener("click", () => {
        theme = themes[(themes.indexOf(theme) + 1) % themes.length];
        store("theme", theme);
        applyTheme();
        label();
      });
    }
    for (const select of document.querySelectorAll("select[data-do]")) {
      fields(select);
      select.addEventListener("change", () => fields(select));
    }
    for (const input of document.querySelectorAll("input[data-name]")) {
      input.value = input.value || stored("name") || "";
      input.form.addEventListener("submit", () => store("name", input.value));
    }
    const done = document.getElementById("done");
    if (done) done.focus();
    if (document.body.hasAttribute("data-live")) {
      count();
      setInterval(count, 1000);
      connect();
      // A page that is left must not hold a place.
      addEventListener("pagehide", () => source && source.close());
      addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
    }
  });
})();
