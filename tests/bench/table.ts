/** Tables of text, as aligned columns or as Markdown. */

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  /** Cells in the order of `head`. */
  readonly rows: readonly (readonly string[])[];
}

/** Aligned columns, two spaces between them. */
export function tableAsText({ title, head, rows }: Table): string {
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => [...row[column]].length))
  );
  const lines = [head, ...rows].map((row) =>
    row.map((cell, column) => cell + " ".repeat(widths[column] - [...cell].length))
      .join("  ").trimEnd()
  );
  return [title, ...lines].join("\n");
}

/** A Markdown table below its title in bold. */
export function tableAsMarkdown({ title, head, rows }: Table): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    `**${title}**`,
    "",
    line(head),
    `|${head.map(() => "---").join("|")}|`,
    ...rows.map(line),
  ].join("\n");
}
