// The player's own look. Its colours can be set from outside through the custom properties at the top.

export const style = `
:host {
  --good: var(--sightline-good, #3ddc97);
  --warn: var(--sightline-warn, #ffb84d);
  --bad: var(--sightline-bad, #ff6b6b);
  --quiet: var(--sightline-quiet, #a7b2c0);
  --inset: var(--sightline-inset, 12px);
  display: block;
  position: relative;
  overflow: hidden;
  background: #000;
  color: #f3f6f9;
  font: 400 14px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  container-type: size;
  aspect-ratio: 16 / 9;
}
:host([hidden]) { display: none; }
.stage { position: absolute; inset: 0; overflow: hidden; }
/* One finger scrolls the page, two enlarge the picture; what is enlarged follows one finger. */
.controlled .stage { touch-action: pan-x pan-y; }
.controlled .stage.zoomed { touch-action: none; cursor: grab; }
.controlled .stage.zoomed:active { cursor: grabbing; }
.controlled.idle .stage { cursor: none; }
.live { position: absolute; inset: 0; overflow: hidden; }
.split .live { left: 50%; border-left: 2px solid #000; }
.frozen { position: absolute; inset: 0; overflow: hidden; pointer-events: none; background: #000; }
.split .frozen { right: 50%; }
.frozen.over::after { content: ""; position: absolute; top: 0; bottom: 0; left: calc(var(--divider) - 2px); width: 2px; background: #ffd54d; }
.badge {
  position: absolute;
  left: 0;
  top: 0;
  margin: 0;
  padding: 3px 10px;
  border-radius: 6px;
  background: #ffd54d;
  color: #1a1400;
  font-size: 12px;
  font-weight: 650;
  font-variant-numeric: tabular-nums;
  pointer-events: none;
}
.ruler { position: absolute; inset: 0 auto 0 0; pointer-events: none; }
.ruler svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; stroke: #ffd54d; stroke-width: 2; filter: drop-shadow(0 0 1px #000) drop-shadow(0 0 1px #000); }
.end { position: absolute; left: -22px; top: -22px; width: 44px; height: 44px; padding: 0; border-radius: 50%; background: none; pointer-events: auto; cursor: move; touch-action: none; }
.end::before { content: ""; position: absolute; inset: 13px; border: 2px solid #ffd54d; border-radius: 50%; box-shadow: 0 0 0 1px #000, inset 0 0 0 1px #000; }
.end::after { content: ""; position: absolute; inset: 20px; border-radius: 50%; background: #ffd54d; }
.surface {
  position: absolute;
  inset: 0;
  width: 100%;
  height: 100%;
  object-fit: contain;
  transform: var(--view, none);
  filter: var(--adjust, none);
  transition: filter 240ms ease;
}
.old .live .surface { filter: grayscale(0.85) brightness(0.42); }
/* Everything laid over the picture stays at its lower edge: cameras write their clocks at the upper one. */
.dock {
  position: absolute;
  left: max(var(--inset), env(safe-area-inset-left));
  right: max(var(--inset), env(safe-area-inset-right));
  bottom: max(var(--inset), env(safe-area-inset-bottom));
  padding-left: calc(100% - var(--sightline-dock-width, 100%));
  display: flex;
  flex-wrap: wrap;
  justify-content: flex-end;
  align-items: center;
  gap: 8px;
  text-align: right;
  pointer-events: none;
  z-index: 2;
}
.said { display: contents; }
.pill, .age, .zoom {
  display: inline-flex;
  align-items: center;
  gap: 7px;
  padding: 4px 11px 4px 10px;
  border-radius: 999px;
  background: rgb(10 13 17 / 0.78);
  font-size: 12px;
  font-weight: 600;
  letter-spacing: 0.01em;
  line-height: 18px;
  white-space: nowrap;
}
.pill::before {
  content: "";
  width: 7px;
  height: 7px;
  border-radius: 50%;
  background: var(--tone);
  flex: none;
}
.age { font-variant-numeric: tabular-nums; color: var(--warn); padding-left: 11px; }
.age:empty, .detail:empty { display: none; }
.detail { order: 1; }
.again { order: 2; }
.controls { order: 3; }
.zoom { order: 4; }
.age { order: 5; }
.pill { order: 6; }
.note { order: 2; flex-basis: 100%; margin: 0; text-shadow: 0 0 3px #000, 0 1px 8px rgb(0 0 0 / 0.9); overflow-wrap: anywhere; }
.note:empty { display: none; }
.zoom { pointer-events: auto; min-height: 26px; font-variant-numeric: tabular-nums; }
.zoom::after { content: "×"; color: var(--quiet); font-size: 15px; line-height: 1; }
.zoom:hover { background: rgb(36 43 52 / 0.95); }
.detail {
  flex-basis: 100%;
  margin: 0;
  color: #eef2f6;
  text-shadow: 0 0 3px #000, 0 1px 8px rgb(0 0 0 / 0.9);
  text-wrap: pretty;
}
.root { --tone: var(--quiet); position: absolute; inset: 0; }
.root[data-state="live"] { --tone: var(--good); }
.root[data-state="frozen"], .root[data-state="stills"], .root[data-state="stale"], .root[data-state="lost"] { --tone: var(--warn); }
.root[data-state="denied"], .root[data-state="unsupported"] { --tone: var(--bad); }
.root[data-state="connecting"] .pill::before { animation: breathe 1.4s ease-in-out infinite; }
@keyframes breathe { 50% { opacity: 0.25; } }

/* Without a picture the words stand in the middle: they are all there is to see. */
.empty .dock {
  inset: 0;
  flex-direction: column;
  flex-wrap: nowrap;
  justify-content: center;
  text-align: center;
  gap: 8px;
  padding: 24px;
}
.empty .pill { order: 0; background: none; font-size: 15px; }
.empty .detail { flex-basis: auto; max-width: 46ch; color: #a7b2c0; }
.empty .controls { position: absolute; right: var(--inset); bottom: var(--inset); }
.empty { background: radial-gradient(120% 90% at 50% 40%, #171c23 0%, #0b0e12 70%); }

button {
  font: inherit;
  color: inherit;
  border: 0;
  cursor: pointer;
}
button:focus-visible { outline: 2px solid #7db8ff; outline-offset: 2px; }
.again {
  pointer-events: auto;
  padding: 6px 14px;
  border-radius: 8px;
  background: rgb(255 255 255 / 0.14);
  font-weight: 600;
  font-size: 13px;
}
.tools { display: contents; }
.tool {
  order: 0;
  display: flex;
  flex-wrap: wrap;
  justify-content: flex-end;
  align-items: center;
  gap: 6px 12px;
  padding: 8px 8px 8px 14px;
  border-radius: 12px;
  background: rgb(10 13 17 / 0.82);
  font-size: 13px;
  pointer-events: auto;
}
.tool strong { font-weight: 600; color: #a7b2c0; }
.tool .again { order: 0; }
.tool label { display: inline-flex; align-items: center; gap: 8px; }
.tool input[type="range"] { width: 130px; height: 24px; accent-color: #ffd54d; }
.tool input[type="number"] { width: 6em; padding: 5px 8px; border: 1px solid #7b8694; border-radius: 7px; background: #0b0e12; color: inherit; font: inherit; }
.tool input:focus-visible { outline: 2px solid #7db8ff; outline-offset: 2px; }
.tool .value { font-weight: 650; font-variant-numeric: tabular-nums; color: #ffd54d; }
.tool .value:empty { display: none; }
.tool .hint { margin: 0; color: #a7b2c0; font-size: 12px; }
.calibration { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; justify-content: flex-end; }
.again:hover { background: rgb(255 255 255 / 0.22); }
[hidden] { display: none !important; }

.controls { display: flex; gap: 6px; pointer-events: auto; transition: opacity 200ms ease; }
.controls button, .zooming button {
  min-width: 40px;
  height: 40px;
  padding: 0;
  display: grid;
  place-items: center;
  border-radius: 10px;
  background: rgb(10 13 17 / 0.66);
}
.controls button:hover { background: rgb(36 43 52 / 0.95); }
.controls button[aria-pressed="true"], .controls button[aria-expanded="true"], .item[aria-pressed="true"] { color: var(--good); }
svg { width: 20px; height: 20px; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
.idle .controls:not(:has(:focus-visible)) { opacity: 0; pointer-events: none; }
@media (pointer: coarse) {
  .controls button, .zooming button { min-width: 44px; height: 44px; }
  .item, .panel label { min-height: 44px; }
  .zoom, .again { min-height: 44px; }
}

.stats {
  position: absolute;
  left: 0;
  bottom: var(--sightline-stats-above, 0px);
  padding: 10px 14px 11px;
  border-radius: 12px;
  background: rgb(10 13 17 / 0.82);
  font-size: 12px;
  line-height: 17px;
  pointer-events: none;
  text-align: left;
  font-variant-numeric: tabular-nums;
}
.empty .stats { left: var(--inset); bottom: calc(var(--inset) + var(--sightline-stats-above, 0px)); }
.stats .lead { display: flex; align-items: baseline; gap: 6px; }
.stats .figure { font-size: 26px; line-height: 30px; font-weight: 650; letter-spacing: -0.02em; }
.stats .unit, .stats dt { color: #a7b2c0; }
.stats .caption { color: #a7b2c0; margin: 0 0 7px; }
.stats dl {
  display: grid;
  grid-template-columns: auto auto;
  gap: 1px 14px;
  margin: 0;
}
.stats dd { margin: 0; text-align: right; }
.more { display: none; }
.controlled .more { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; margin-top: 9px; }
.more span:empty { display: none; }
.more .again { order: 0; padding: 3px 10px; font-size: 12px; min-height: 26px; }
.stats.expanded { width: 420px; max-width: 100%; box-sizing: border-box; max-height: calc(100cqh - 90px - var(--sightline-stats-above, 0px)); overflow-y: auto; pointer-events: auto; }
.graphs { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 14px; margin-top: 10px; padding-top: 10px; border-top: 1px solid rgb(255 255 255 / 0.09); }
.graphs figure { margin: 0; }
.graphs .wide { grid-column: 1 / -1; }
.graphs figcaption { display: flex; justify-content: space-between; gap: 8px; color: #a7b2c0; }
.graphs .now { color: #f3f6f9; white-space: nowrap; }
.plot { position: relative; height: 44px; margin-top: 3px; border-bottom: 1px solid rgb(255 255 255 / 0.25); border-top: 1px dotted rgb(255 255 255 / 0.2); }
.wide .plot { height: 84px; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; stroke: none; }
.plot .top { position: absolute; left: 0; top: 0; padding: 0 3px; color: #a7b2c0; font-size: 10px; line-height: 13px; background: rgb(10 13 17 / 0.6); }
.plot .line { fill: none; stroke: #7db8ff; stroke-width: 1.75; vector-effect: non-scaling-stroke; }
.plot .area { fill: var(--colour); }
.key { display: flex; flex-wrap: wrap; gap: 2px 12px; margin: 5px 0 0; padding: 0; list-style: none; color: #d5dce4; }
.key li::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 5px; border-radius: 2px; background: var(--colour); }
[data-colour="encode"] { --colour: #c792ea; }
[data-colour="network"] { --colour: #5aa9ff; }
[data-colour="decode"] { --colour: #3ddc97; }
[data-colour="show"] { --colour: #ffb84d; }
.limit { margin: 0; color: var(--warn); text-wrap: pretty; }
.limit:empty { display: none; }
.stats .limit { margin-top: 6px; max-width: 34ch; }

.panel {
  --above: max(var(--inset), env(safe-area-inset-bottom));
  position: absolute;
  right: max(var(--inset), env(safe-area-inset-right));
  bottom: calc(var(--above) + 48px);
  z-index: 3;
  box-sizing: border-box;
  width: min(20rem, 100% - 2 * var(--inset));
  max-height: calc(100% - var(--above) - 48px - var(--inset));
  overflow-y: auto;
  overscroll-behavior: contain;
  padding: 14px 8px 10px;
  border-radius: 14px;
  background: rgb(15 19 25 / 0.96);
  box-shadow: 0 0 0 1px rgb(255 255 255 / 0.09), 0 12px 40px rgb(0 0 0 / 0.5);
}
.panel fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
.panel fieldset + fieldset { margin-top: 8px; padding-top: 12px; border-top: 1px solid rgb(255 255 255 / 0.09); }
.panel legend { float: left; width: 100%; box-sizing: border-box; padding: 0 10px 4px; color: #a7b2c0; font-size: 12px; font-weight: 600; }
.panel label {
  clear: both;
  display: grid;
  grid-template-columns: auto 1fr;
  column-gap: 12px;
  align-items: center;
  padding: 6px 10px;
  border-radius: 9px;
  cursor: pointer;
}
.panel label:hover { background: rgb(255 255 255 / 0.06); }
.panel label:has(:focus-visible) { outline: 2px solid #7db8ff; outline-offset: -2px; }
.panel input { grid-row: span 2; width: 17px; height: 17px; margin: 0; accent-color: var(--good); outline: none; cursor: pointer; }
.panel .title { font-weight: 600; line-height: 19px; }
.panel .hint { color: #a7b2c0; font-size: 12px; line-height: 16px; }
.panel .limit { padding: 8px 10px 2px; font-size: 12px; line-height: 17px; }

.panel h2 { margin: 10px 10px 4px; padding-top: 12px; border-top: 1px solid rgb(255 255 255 / 0.09); color: #a7b2c0; font-size: 12px; line-height: 17px; font-weight: 600; }
.item {
  display: flex;
  align-items: center;
  gap: 12px;
  width: 100%;
  padding: 8px 10px;
  border-radius: 9px;
  background: none;
  font-weight: 600;
  text-align: left;
}
.item:hover { background: rgb(255 255 255 / 0.06); }
.item svg { flex: none; }
.item[aria-pressed="true"]::after { content: "✓"; margin-left: auto; }
.zooming { display: grid; grid-template-columns: auto 1fr auto; gap: 6px; padding: 0 8px 8px; }
.zooming button { background: rgb(255 255 255 / 0.08); font-weight: 600; }
.zooming button:hover { background: rgb(255 255 255 / 0.16); }

.place {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  justify-items: center;
  gap: 12px;
  color: #a7b2c0;
  background: radial-gradient(120% 90% at 50% 40%, #171c23 0%, #0b0e12 70%);
}
.place p { margin: 0; }

/* On a phone there is no room beside anything: the figures stand above the words. */
@container (max-width: 480px) and (min-height: 481px) {
  .tool { flex: 0 0 100%; box-sizing: border-box; padding: 6px 6px 6px 12px; }
  .tool strong { order: -2; flex: 1; text-align: left; }
  .tool .done { order: -1; }
  .tool .hint { flex-basis: 100%; order: 1; }
  .root:not(.empty) .stats { position: static; flex: 0 0 100%; box-sizing: border-box; }
  .root:not(.empty) .stats .limit { max-width: none; }
  .root[data-state="stills"] .controls { order: 0; flex-basis: 100%; justify-content: flex-end; }
}
@container (max-height: 480px) { .stats .caption, .stats dl, .stats .limit { display: none; } }
@media (prefers-reduced-motion: reduce) {
  .root[data-state="connecting"] .pill::before { animation: none; }
  .surface, .controls { transition: none; }
}
`;
