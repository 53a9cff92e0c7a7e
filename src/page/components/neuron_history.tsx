/** Layers over time, drawn: how much of each layer was computed in each of the last moments. */
import { useEffect, useRef } from "preact/hooks";
import { SAMPLES_MAX } from "../state/neuron_watch.ts";
import type { NeuronSample } from "../types.ts";
import { useAppState } from "./context.ts";

const CELL_PX = 6;

export function NeuronHistory({ samples }: { samples: readonly NeuronSample[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const layerCount = samples.at(-1)!.layers.length;
  const theme = useAppState((state) => state.settings.theme);
  useEffect(() => draw(canvas.current!, samples), [samples, theme]);
  return (
    <canvas
      ref={canvas}
      class="history"
      style={{ height: `${Math.min(12, Math.max(4, layerCount / 3))}rem` }}
      role="img"
      aria-label={`How much of each layer was computed, ${samples.length} moments`}
    />
  );
}

function draw(canvas: HTMLCanvasElement, samples: readonly NeuronSample[]): void {
  const layerCount = samples.at(-1)!.layers.length;
  canvas.width = SAMPLES_MAX * CELL_PX;
  canvas.height = layerCount * CELL_PX;
  const context = canvas.getContext("2d");
  if (context === null) return;
  // Of the canvas, for names of colours are nothing to a drawing. What is skipped is its ground.
  context.fillStyle = getComputedStyle(canvas).color;
  samples.forEach(({ layers }, index) => {
    const x = (SAMPLES_MAX - samples.length + index) * CELL_PX;
    layers.forEach(({ neurons, hot, cold }, layer) => {
      if (neurons === 0) return;
      // Few of the neurons fire: the root shows differences between few and very few.
      context.globalAlpha = Math.sqrt((hot + cold) / neurons);
      context.fillRect(x, layer * CELL_PX, CELL_PX, CELL_PX);
    });
  });
}
