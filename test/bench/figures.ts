import type { Report } from "./bench.ts";
import { cells, markdown } from "./table.ts";

/**
 * Replaces the figures of a report in a document, between `<!-- bench NAME -->` and
 * `<!-- /bench -->`.
 *
 * @throws Error if the document has no such comments
 */
export function withFigures(document: string, name: string, report: Report): string {
  const begin = `<!-- bench ${name} -->\n`;
  const from = document.indexOf(begin);
  const to = document.indexOf("<!-- /bench -->", from);
  if (from === -1 || to === -1) throw new Error(`the document has no comments for the figures of '${name}'`);
  return `${document.slice(0, from + begin.length)}\n${figures(name, report)}\n\n${document.slice(to)}`;
}

function figures(name: string, { machine, date, rows }: Report): string {
  const { cpu, cores, platform, node, chromium, firefox } = machine;
  const programs = [chromium && `Chromium ${chromium}`, firefox && `Firefox ${firefox}`, `Node ${node}`].filter(Boolean).join(", ");
  const where = `${cpu}, ${cores} cores, ${platform}; ${programs}; ${date.slice(0, 10)}.`;
  return `${wrapped(`\`npm run bench -- ${name}\` on ${where}`)}\n\n${markdown(cells(rows))}`;
}

/** Breaks a line between words so that no part is longer than 100 columns. */
function wrapped(line: string): string {
  return line.replace(/(.{1,100})(?: |$)/g, "$1\n").trimEnd();
}
