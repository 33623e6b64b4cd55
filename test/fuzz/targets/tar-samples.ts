import { concatBytes, utf8 } from "../../../src/bytes.ts";

interface Member {
  readonly type: string;
  readonly path: string;
  readonly link?: string;
  readonly content?: string;
  readonly mode?: string;
}

/** Creates archives in the three dialects of tar, with each kind of member. */
export function tarSamples(): Uint8Array[] {
  const pax = (records: Record<string, string>): string =>
    Object.entries(records)
      .map(([key, value]) => record(`${key}=${value}\n`))
      .join("");
  return [
    tar([{ type: "0", path: "file", content: "content" }]),
    tar([
      { type: "5", path: "tree/", mode: "0000755" },
      { type: "0", path: "tree/run", content: "#!/bin/sh\n", mode: "0000755" },
      { type: "2", path: "tree/link", link: "run" },
      { type: "1", path: "tree/hard", link: "tree/run" },
      { type: "0", path: "tree/long", content: "x".repeat(600) },
    ]),
    tar([
      { type: "L", path: "././@LongLink", content: `tree/${"n".repeat(120)}\0` },
      { type: "0", path: "tree/nn", content: "named at length" },
      { type: "K", path: "././@LongLink", content: `${"t".repeat(120)}\0` },
      { type: "2", path: "tree/link", link: "tt" },
    ]),
    tar([
      { type: "V", path: "label" },
      { type: "D", path: "tree/", content: "Yhole\0\0" },
      { type: "1", path: "tree/before", link: "tree/hole" },
      {
        type: "x",
        path: "pax",
        content: pax({ "GNU.sparse.name": "tree/hole", "GNU.sparse.size": "64", "GNU.sparse.map": "0,1,6,1" }),
      },
      { type: "0", path: "x", content: "AB" },
      { type: "x", path: "pax", content: pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "64" }) },
      { type: "0", path: "tree/map", content: `${"2\n0\n1\n6\n1\n".padEnd(512, "\0")}AB` },
      { type: "1", path: "tree/map", link: "tree/map" },
      { type: "Z", path: "tree/other", content: "other" },
    ]),
    tar([
      { type: "g", path: "pax", content: pax({ comment: "all" }) },
      { type: "x", path: "pax", content: pax({ path: "./tree/päx", mtime: "1.5", size: "3" }) },
      { type: "0", path: "tree/pax", content: "abc" },
      { type: "x", path: "pax", content: pax({ linkpath: "päx" }) },
      { type: "2", path: "tree/link", link: "x" },
    ]),
  ];
}

function record(text: string): string {
  const { length } = utf8(text);
  let total = length + 2;
  while (`${total} `.length + length !== total) total++;
  return `${total} ${text}`;
}

function tar(members: readonly Member[]): Uint8Array {
  return concatBytes([...members.flatMap(member), new Uint8Array(1024)]);
}

function member({ type, path, link = "", content = "", mode = "0000644" }: Member): Uint8Array[] {
  const header = new Uint8Array(512);
  const put = (at: number, text: string): void => header.set(utf8(text), at);
  const body = utf8(content);
  put(0, path);
  put(100, `${mode}\0`);
  put(108, "0000000\x000000000\0");
  put(124, `${body.length.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(156, type);
  put(157, link);
  put(257, "ustar\x0000");
  put(148, " ".repeat(8));
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return [header, body, new Uint8Array((512 - (body.length % 512)) % 512)];
}
