/**
 * Hot and cold neurons of a model as a picture (SVG): a bar per layer, its neurons sorted by how
 * often they fire, in bands; a mark where those that make 80 % of the firings end. Colours follow
 * the reader's light or dark scheme.
 */
import { activeFraction, HOT_SHARE_OF_FIRINGS, hotFraction, layerCounts } from "./firing_stats.ts";
import { type Bucket, BUCKETS, type FiringStats } from "./types.ts";

export interface HotColdChart {
  readonly title: string;
  /** What the counts are of. */
  readonly subtitle: string;
  readonly stats: FiringStats;
}

/** A band holds neurons that fire in at least this share of tokens. */
const BANDS = [
  { from: 1 / 2, label: "≥ 1/2" },
  { from: 1 / 4, label: "≥ 1/4" },
  { from: 1 / 8, label: "≥ 1/8" },
  { from: 1 / 16, label: "≥ 1/16" },
  { from: 1 / 32, label: "≥ 1/32" },
  { from: 1 / 64, label: "≥ 1/64" },
  { from: Number.MIN_VALUE, label: "< 1/64" },
  { from: 0, label: "never" },
] as const;

/** All lengths in pixels of the view box. */
const WIDTH = 860;
const MARGIN = 20;
const LABEL_WIDTH = 64;
const NUMBER_WIDTH = 76;
const PLOT_X = MARGIN + LABEL_WIDTH;
const PLOT_WIDTH = WIDTH - PLOT_X - 2 * NUMBER_WIDTH - MARGIN;
const HEADER_HEIGHT = 62;
const LEGEND_HEIGHT = 34;
const LEGEND_PITCH = 82;
const LEGEND_SQUARE = 11;
const BAR_PITCH = 18;
const BAR_HEIGHT = 13;
const AXIS_HEIGHT = 26;
const FOOTER_PITCH = 16;

const LIGHT = [
  ...["#9b1c31", "#c8452f", "#e5833b", "#f3bd5c"],
  ...["#f5e3a0", "#c3dbe6", "#8fb8d3", "#e7ebf0"],
];
const DARK = [
  ...["#ff5d6c", "#f07a4a", "#d99a45", "#a98f45"],
  ...["#6f7350", "#3f5f73", "#2b4a66", "#21262d"],
];

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet { fill: #57606a; font-size: 11px; }
  .background { fill: #ffffff; }
  .grid { stroke: #d8dee4; }
  .hot { stroke: #24292f; stroke-width: 2; }
  ${bandStyles(LIGHT)}
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .background { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .hot { stroke: #ffffff; }
    ${bandStyles(DARK)}
  }
`;

/** The picture as a document. */
export function hotColdChart({ title, subtitle, stats }: HotColdChart): string {
  const { layerCount } = stats.subject;
  const top = HEADER_HEIGHT + LEGEND_HEIGHT;
  const bottom = top + layerCount * BAR_PITCH;
  const footer = footerLines(stats);
  const height = bottom + AXIS_HEIGHT + footer.length * FOOTER_PITCH + MARGIN;
  const right = PLOT_X + PLOT_WIDTH;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="background" width="${WIDTH}" height="${height}" rx="6"/>`,
    label(title, { x: MARGIN, y: 28, class: "title" }),
    label(subtitle, { x: MARGIN, y: 47, class: "quiet" }),
    ...legend(HEADER_HEIGHT + 12),
    label("active", { x: right + NUMBER_WIDTH - 8, y: top - 6, class: "quiet", anchor: "end" }),
    label("hot", { x: right + 2 * NUMBER_WIDTH - 8, y: top - 6, class: "quiet", anchor: "end" }),
    ...axis({ top, bottom }),
    ...Array.from({ length: layerCount }, (_, layer) => drawLayer(stats, layer, top)).flat(),
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

function legend(y: number): string[] {
  return BANDS.flatMap(({ label: text }, band) => {
    const x = PLOT_X + band * LEGEND_PITCH;
    const square = { x, y: y - LEGEND_SQUARE + 1, width: LEGEND_SQUARE, height: LEGEND_SQUARE };
    return [
      rectangle(`band${band}`, square),
      label(text, { x: x + LEGEND_SQUARE + 5, y, class: "quiet" }),
    ];
  });
}

function axis({ top, bottom }: { top: number; bottom: number }): string[] {
  return [0, 0.25, 0.5, 0.75, 1].flatMap((share) => {
    const x = round(PLOT_X + share * PLOT_WIDTH);
    return [
      `<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${bottom + 4}"/>`,
      label(share === 1 ? "100 % of neurons" : `${share * 100} %`, {
        x,
        y: bottom + 18,
        class: "quiet",
        anchor: "middle",
      }),
    ];
  });
}

/** A layer's bar, its mark and its two numbers. */
function drawLayer(stats: FiringStats, layer: number, top: number): string[] {
  const y = top + layer * BAR_PITCH;
  const text = y + BAR_HEIGHT - 2.5;
  const hot = hotFraction(stats, layer);
  const hotX = round(PLOT_X + hot * PLOT_WIDTH);
  const right = PLOT_X + PLOT_WIDTH;
  let x = PLOT_X;
  const bars = bandShares(stats, layer).map((share, band) => {
    const width = share * PLOT_WIDTH;
    x += width;
    const bar = { x: round(x - width), y, width: round(width), height: BAR_HEIGHT };
    return share === 0 ? "" : rectangle(`band${band}`, bar);
  });
  return [
    label(`layer ${layer}`, { x: PLOT_X - 8, y: text, anchor: "end" }),
    ...bars.filter((bar) => bar !== ""),
    `<line class="hot" x1="${hotX}" x2="${hotX}" y1="${y - 2}" y2="${y + BAR_HEIGHT + 2}"/>`,
    label(percent(activeFraction(stats, "1", layer)), {
      x: right + NUMBER_WIDTH - 8,
      y: text,
      anchor: "end",
    }),
    label(percent(hot), { x: right + 2 * NUMBER_WIDTH - 8, y: text, anchor: "end" }),
  ];
}

/** Share of a layer's neurons in each band. */
function bandShares(stats: FiringStats, layer: number): number[] {
  const counts = layerCounts(stats, "1", layer);
  const shares = BANDS.map(() => 0);
  for (const count of counts) {
    const frequency = count / Math.max(1, stats.units["1"]);
    shares[BANDS.findIndex(({ from }) => frequency >= from)] += 1 / counts.length;
  }
  return shares;
}

function footerLines(stats: FiringStats): string[] {
  const mean = (bucket: Bucket) => {
    let sum = 0;
    for (let layer = 0; layer < stats.subject.layerCount; layer++) {
      sum += activeFraction(stats, bucket, layer);
    }
    return percent(sum / stats.subject.layerCount);
  };
  const sequences = BUCKETS.filter((bucket) => bucket !== "prefill")
    .map((bucket) => `${bucket}: ${mean(bucket)}`).join(", ");
  const prompt = stats.units.prefill === 0
    ? ""
    : `; for 64 tokens of a prompt at once: ${mean("prefill")}`;
  return [
    "Each bar is a layer's neurons, most frequent first, coloured by the share of tokens they " +
    "fire for.",
    `The mark ends the hot ones, which make ${HOT_SHARE_OF_FIRINGS * 100} % of the firings; ` +
    "active: neurons that fire for a token, on average.",
    `Active for as many sequences side by side, mean of layers: ${sequences}${prompt}.`,
  ];
}

function bandStyles(colours: readonly string[]): string {
  return colours.map((colour, band) => `.band${band} { fill: ${colour}; }`).join(" ");
}

function rectangle(
  look: string,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): string {
  return `<rect class="${look}" x="${x}" y="${y}" width="${width}" height="${height}"/>`;
}

function label(
  text: string,
  at: { x: number; y: number; class?: string; anchor?: "middle" | "end" },
): string {
  const look = at.class ? ` class="${at.class}"` : "";
  const anchor = at.anchor ? ` text-anchor="${at.anchor}"` : "";
  return `<text x="${at.x}" y="${at.y}"${look}${anchor}>${escape(text)}</text>`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`;
}

function round(length: number): number {
  return Math.round(length * 100) / 100;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
