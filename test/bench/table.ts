import { OURS, type Outcome, type Requirement, type Row, RUNTIMES, type Runtime } from "./bench.ts";

/**
 * Formats rows as lines of cells. The first line has the names of the columns. A cell has the
 * median in one runtime, and the ratio of our median to it. If the row has a minimum and a maximum,
 * the cell has these before and after the median.
 */
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

/**
 * Formats cells as a Markdown table. All cells of a column have the same width, so that the
 * formatter of Markdown doesn't change the table.
 */
export function markdown(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(3, ...lines.map((line) => [...(line[column] ?? "")].length)));
  const rule = widths.map((width) => "-".repeat(width));
  return [lines[0] ?? [], rule, ...lines.slice(1)]
    .map((line) => `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`)
    .join("\n");
}

/** Checks the requirements. Leaves out those whose case was not measured in `where`. */
export function outcomes(requirements: readonly Requirement[], rows: readonly Row[], where: Runtime = "chromium"): Outcome[] {
  const there = rows.filter((row) => row.runtime === where);
  return requirements.flatMap((requirement): Outcome[] => {
    const ofCase = there.filter((row) => row.case === requirement.case);
    const ours = best(ofCase);
    if (!ours) return [];
    if ("atMost" in requirement) {
      const { atMost } = requirement;
      const text = `${requirement.case}: ${figure(ours)}, at most ${atMost} ${ours.unit}`;
      return [{ text, met: ours.median <= atMost }];
    }
    if ("atLeast" in requirement) {
      const { atLeast } = requirement;
      const text = `${requirement.case}: ${figure(ours)}, at least ${atLeast} ${ours.unit}`;
      return [{ text, met: ours.median >= atLeast }];
    }
    if ("againstCase" in requirement) {
      const { againstCase, times } = requirement;
      const other = best(there.filter((row) => row.case === againstCase));
      if (!other) return [missing(requirement.case, `'${againstCase}'`)];
      return [most(ours, other, `'${againstCase}'`, times)];
    }
    if ("times" in requirement) {
      const peer = ofCase.find((row) => row.contender === requirement.against);
      if (!peer) return [missing(requirement.case, requirement.against)];
      if (!requirement.best) return [most(ours, peer, peer.contender, requirement.times)];
      if (peer.minimum === undefined) return [missing(requirement.case, `the minimum of ${peer.contender}`)];
      const minimum = { ...peer, median: peer.minimum };
      return [most(ours, minimum, `the minimum of ${peer.contender}`, requirement.times)];
    }
    const { against, ratio } = requirement;
    const names = typeof against === "string" ? [against] : against;
    const peers = names.map((name) => ofCase.find((row) => row !== ours && row.contender === name));
    const lacking = names.filter((_, i) => !peers[i]);
    if (lacking.length > 0) return [missing(requirement.case, lacking.join(", "))];
    const peer = peers.filter((row) => row !== undefined).sort((a, b) => a.median - b.median)[0] as Row;
    const measured = ours.median / peer.median;
    const whom = against === OURS ? `${peer.workers} worker` : peer.contender;
    return [{ text: `${requirement.case}: ${measured.toFixed(2)} x ${whom}, at least ${ratio} x`, met: measured >= ratio }];
  });
}

function most(ours: Row, other: Row, whom: string, times: number): Outcome {
  const measured = ours.median / other.median;
  return { text: `${ours.case}: ${measured.toFixed(2)} x ${whom}, at most ${times} x`, met: measured <= times };
}

function missing(name: string, whom: string): Outcome {
  return { text: `${name}: ${whom} was not measured`, met: false };
}

/**
 * Finds our row. If the case was measured with several numbers of workers, returns the row with the
 * most workers.
 */
function best(rows: readonly Row[]): Row | undefined {
  return rows.filter((row) => row.contender === OURS).sort((a, b) => b.workers - a.workers)[0];
}

function labelOf(row: Row, ofCase: readonly Row[]): string {
  if (new Set(ofCase.map(({ workers }) => workers)).size === 1) return row.contender;
  return `${row.contender}, ${row.workers} worker${row.workers === 1 ? "" : "s"}`;
}

function cell(row: Row | undefined, ofCase: readonly Row[]): string {
  if (!row) return "";
  if (row.unit === "%") return figure(row);
  const ours = best(ofCase.filter(({ runtime }) => runtime === row.runtime));
  const ratio = ours && ours !== row ? ` (${(ours.median / row.median).toFixed(2)} x)` : "";
  return `${figure(row)}${ratio}`;
}

/** Formats the median with its unit, between the minimum and the maximum if the row has them. */
export function figure({ minimum, median, maximum, unit }: Pick<Row, "minimum" | "median" | "maximum" | "unit">): string {
  const digits = unit === "s" || unit === "%" ? 2 : unit === "ms" || unit === "µs/file" ? 1 : 0;
  const isRange = minimum !== undefined && maximum !== undefined && minimum !== maximum;
  const values = isRange ? [minimum, median, maximum] : [median];
  return `${values.map((value) => value.toFixed(digits)).join(" / ")} ${unit}`;
}
