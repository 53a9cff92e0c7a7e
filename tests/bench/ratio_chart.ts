/**
 * A chart of ratios as SVG: horizontal bars with their range, a line where the ratio is 1. Colours
 * follow the reader's light or dark scheme. Knows nothing of what the ratios are of.
 */

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Written behind the ratio. */
  readonly note: string;
  readonly isOurs: boolean;
}

/** Bars that belong together, below a heading. */
export interface BarGroup {
  readonly heading: string;
  readonly bars: readonly Bar[];
}

export interface RatioChart {
  readonly title: string;
  /** What 1.0 is. */
  readonly subtitle: string;
  readonly groups: readonly BarGroup[];
  /** Lines below the bars. */
  readonly footer: readonly string[];
}

/** All lengths in pixels of the view box. */
const WIDTH = 860;
const MARGIN = 20;
const LABEL_WIDTH = 150;
const NOTE_WIDTH = 170;
const BAR_HEIGHT = 16;
const BAR_PITCH = 22;
const HEADING_PITCH = 30;
const HEADER_HEIGHT = 62;
const AXIS_HEIGHT = 26;
const FOOTER_PITCH = 15;
/** Within the note: "1.08 ×". */
const RATIO_WIDTH = 64;
const NOTE_X = WIDTH - MARGIN - NOTE_WIDTH;
const PLOT_X = MARGIN + LABEL_WIDTH;
const PLOT_WIDTH = NOTE_X - PLOT_X;
/** The line at 1 shows even when all bars are shorter. */
const RATIO_SHOWN_MIN = 1.2;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .heading { font-weight: 600; }
  .quiet { fill: #57606a; font-size: 11px; }
  .background { fill: #ffffff; }
  .ours { fill: #1a7f64; }
  .peer { fill: #9aa4b2; }
  .range { stroke: #24292f; }
  .grid { stroke: #d8dee4; }
  .one { stroke: #cf222e; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .background { fill: #0d1117; }
    .ours { fill: #3fb68b; }
    .peer { fill: #5b6675; }
    .range { stroke: #e6edf3; }
    .grid { stroke: #30363d; }
    .one { stroke: #ff7b72; }
  }
`;

/** The chart as a document. */
export function ratioChart({ title, subtitle, groups, footer }: RatioChart): string {
  const bars = groups.flatMap((group) => group.bars);
  const scale = PLOT_WIDTH / Math.max(RATIO_SHOWN_MIN, ...bars.map(({ max }) => max));
  const bottom = HEADER_HEIGHT + groups.length * HEADING_PITCH + bars.length * BAR_PITCH;
  const height = bottom + AXIS_HEIGHT + footer.length * FOOTER_PITCH + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="background" width="${WIDTH}" height="${height}" rx="6"/>`,
    label(title, { x: MARGIN, y: 28, class: "title" }),
    label(subtitle, { x: MARGIN, y: 47, class: "quiet" }),
    ...axis({ scale, bottom }),
    ...drawGroups(groups, scale),
    verticalLine("one", { ratio: 1, scale, bottom }),
    ...footer.map((line, index) =>
      label(line, {
        x: MARGIN,
        y: bottom + AXIS_HEIGHT + (index + 1) * FOOTER_PITCH,
        class: "quiet",
      })
    ),
    "</svg>\n",
  ].join("\n");
}

/** Grid lines at round ratios and at 1, with their numbers below. */
function axis({ scale, bottom }: { scale: number; bottom: number }): string[] {
  const last = PLOT_WIDTH / scale;
  const step = [0.25, 0.5, 1, 2, 5, 10, 20, 50].find((each) => last / each <= 8) ?? last;
  const count = Math.floor(last / step + 1e-9);
  const marks = Array.from({ length: count + 1 }, (_, index) => index * step);
  // One is the point of the chart, and no multiple of a wide step.
  if (!marks.includes(1)) marks.push(1);
  return marks.flatMap((mark) => [
    verticalLine("grid", { ratio: mark, scale, bottom }),
    label(`${mark}`, {
      x: position(PLOT_X + mark * scale),
      y: bottom + 18,
      class: "quiet",
      anchor: "middle",
    }),
  ]);
}

function verticalLine(
  look: "one" | "grid",
  { ratio, scale, bottom }: { ratio: number; scale: number; bottom: number },
): string {
  const x = position(PLOT_X + ratio * scale);
  return `<line class="${look}" x1="${x}" y1="${HEADER_HEIGHT}" x2="${x}" y2="${bottom + 4}"/>`;
}

function drawGroups(groups: readonly BarGroup[], scale: number): string[] {
  const parts: string[] = [];
  let y = HEADER_HEIGHT;
  for (const { heading, bars } of groups) {
    parts.push(label(heading, { x: MARGIN, y: y + HEADING_PITCH - 9, class: "heading" }));
    y += HEADING_PITCH;
    for (const bar of bars) {
      parts.push(...drawBar(bar, { y, scale }));
      y += BAR_PITCH;
    }
  }
  return parts;
}

function drawBar(bar: Bar, { y, scale }: { y: number; scale: number }): string[] {
  const [width, from, to] = [bar.value, bar.min, bar.max].map((value) => value * scale);
  const middle = y + BAR_HEIGHT / 2;
  const textY = middle + 4;
  const range = bar.min === bar.max ? [] : [
    `<line class="range" x1="${position(PLOT_X + from)}" y1="${middle}" ` +
    `x2="${position(PLOT_X + to)}" y2="${middle}"/>`,
  ];
  return [
    label(bar.label, { x: PLOT_X - 8, y: textY, anchor: "end" }),
    `<rect class="${bar.isOurs ? "ours" : "peer"}" x="${PLOT_X}" y="${y}" ` +
    `width="${position(width)}" height="${BAR_HEIGHT}" rx="2"/>`,
    ...range,
    label(`${bar.value.toFixed(2)} ×`, { x: NOTE_X + RATIO_WIDTH, y: textY, anchor: "end" }),
    label(bar.note, { x: WIDTH - MARGIN, y: textY, anchor: "end" }),
  ];
}

function label(
  text: string,
  at: { x: number; y: number; class?: string; anchor?: "middle" | "end" },
): string {
  const look = at.class ? ` class="${at.class}"` : "";
  const anchor = at.anchor ? ` text-anchor="${at.anchor}"` : "";
  return `<text x="${at.x}" y="${at.y}"${look}${anchor}>${escape(text)}</text>`;
}

/** Tenths of a pixel: more digits only make the file longer. */
function position(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Text as XML; characters that XML cannot hold are left out. */
function escape(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
