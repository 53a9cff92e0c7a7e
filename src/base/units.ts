/** Sizes and counts for people: "2GiB" in, "2.0 GiB" out, "1 request", "2 requests". */

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** "1.5 GiB", "12 MiB", "320 B". */
export function formatBytes(bytes: number): string {
  if (bytes >= GiB) return `${(bytes / GiB).toFixed(2)} GiB`;
  if (bytes >= MiB) return `${(bytes / MiB).toFixed(1)} MiB`;
  if (bytes >= KiB) return `${(bytes / KiB).toFixed(1)} KiB`;
  return `${bytes} B`;
}

/** Memory that something needs, such that either figure is enough: "1.6 GiB (1673527296 bytes)". */
export function formatNeeded(bytes: number): string {
  const [unit, digits] = bytes >= GiB ? [GiB, 2] : bytes >= MiB ? [MiB, 1] : [KiB, 1];
  const step = unit / 10 ** digits;
  return `${formatBytes(Math.ceil(bytes / step) * step)} (${bytes} bytes)`;
}

/** "1 request", "2 requests": of nouns whose plural ends in s. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Reads "2GiB", "512MiB", "64KiB" or a plain number of bytes.
 * @returns bytes, or null when `text` is none of these.
 */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)?$/i.exec(text.trim());
  if (!match) return null;
  const unit = (match[2] ?? "B").toLowerCase();
  const scale = unit === "gib" ? GiB : unit === "mib" ? MiB : unit === "kib" ? KiB : 1;
  return Math.round(Number(match[1]) * scale);
}
