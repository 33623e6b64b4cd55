import { OURS, type Outcome, type Requirement, type Row, RUNTIMES, type Runtime } from "./bench.ts";

/** Lines of cells, the first one with the columns' names: a median for each runtime, and how many times that ours is. */
export function cells(rows: readonly Row[]): string[][] {
  const runtimes = RUNTIMES.filter((runtime) => rows.some((row) => row.runtime === runtime));
  const lines = [["case", "contender", ...runtimes]];
  for (const name of new Set(rows.map((row) => row.case))) {
    const ofCase = rows.filter((row) => row.case === name);
    let title = name;
    for (const contender of new Set(ofCase.map((row) => labelOf(row, ofCase)))) {
      const found = (runtime: Runtime) => ofCase.find((row) => row.runtime === runtime && labelOf(row, ofCase) === contender);
      lines.push([title, contender, ...runtimes.map((runtime) => cell(found(runtime), ofCase))]);
      title = "";
    }
  }
  return lines;
}

/** With `|` between cells that are as wide as their column: what the formatter of Markdown leaves alone. */
export function markdown(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(3, ...lines.map((line) => [...(line[column] ?? "")].length)));
  const rule = widths.map((width) => "-".repeat(width));
  return [lines[0] ?? [], rule, ...lines.slice(1)]
    .map((line) => `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`)
    .join("\n");
}

/** Those whose case was not measured in Chromium are left out. */
export function outcomes(requirements: readonly Requirement[], rows: readonly Row[]): Outcome[] {
  const chromium = rows.filter((row) => row.runtime === "chromium");
  return requirements.flatMap((requirement): Outcome[] => {
    const ofCase = chromium.filter((row) => row.case === requirement.case);
    const ours = best(ofCase);
    if (!ours) return [];
    if ("atMost" in requirement) {
      const { atMost } = requirement;
      const text = `${requirement.case}: ${ours.median.toFixed(2)} ${ours.unit}, at most ${atMost} ${ours.unit}`;
      return [{ text, met: ours.median <= atMost }];
    }
    const { against, ratio } = requirement;
    const peer = ofCase.find((row) => row !== ours && row.contender === against);
    if (!peer) return [{ text: `${requirement.case}: ${against} was not measured`, met: false }];
    const measured = ours.median / peer.median;
    const whom = against === OURS ? `${peer.workers} worker` : against;
    return [{ text: `${requirement.case}: ${measured.toFixed(2)} x ${whom}, at least ${ratio} x`, met: measured >= ratio }];
  });
}

/** Ours; with the most workers, if the case was measured with several numbers of them. */
function best(rows: readonly Row[]): Row | undefined {
  return rows.filter((row) => row.contender === OURS).sort((a, b) => b.workers - a.workers)[0];
}

function labelOf(row: Row, ofCase: readonly Row[]): string {
  if (new Set(ofCase.map(({ workers }) => workers)).size === 1) return row.contender;
  return `${row.contender}, ${row.workers} worker${row.workers === 1 ? "" : "s"}`;
}

function cell(row: Row | undefined, ofCase: readonly Row[]): string {
  if (!row) return "";
  if (row.unit !== "MB/s") return `${row.median.toFixed(2)} ${row.unit}`;
  const ours = best(ofCase.filter(({ runtime }) => runtime === row.runtime));
  const ratio = ours && ours !== row ? ` (${(ours.median / row.median).toFixed(2)} x)` : "";
  return `${row.median.toFixed(0)} MB/s${ratio}`;
}
