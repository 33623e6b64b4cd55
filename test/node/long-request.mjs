// @ts-check
/**
 * Sends one request and reads the answer as fast as possible. It runs in a process of its own, so
 * that its work is not counted as the server's. The argument names a file with the request as
 * JSON. Prints the status and the length of the answer.
 */
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:http2";

/**
 * @typedef {object} LongRequest
 * @property {string} url
 * @property {boolean} [grpc] sends the parts of the body as messages over HTTP/2
 * @property {string} [method]
 * @property {Record<string, string>} [headers]
 * @property {{ base64: string, count: number }[]} body each part, and how often it is sent
 */

const {
  url,
  grpc = false,
  method = "GET",
  headers = {},
  body,
} = /** @type {LongRequest} */ (JSON.parse(await readFile(process.argv[2] ?? "", "utf8")));

/** @param {import("node:stream").Writable} stream */
async function send(stream) {
  for (const { base64, count } of body) {
    const part = Buffer.from(base64, "base64");
    const prefix = Buffer.alloc(grpc ? 5 : 0);
    if (grpc) prefix.writeUInt32BE(part.length, 1);
    const bytes = Buffer.concat([prefix, part]);
    for (let i = 0; i < count; i++) if (!stream.write(bytes)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  stream.end();
}

/** @param {import("node:stream").Readable} stream */
async function lengthOf(stream) {
  let length = 0;
  stream.on("data", (bytes) => {
    length += bytes.length;
  });
  await new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject));
  return length;
}

if (grpc) {
  const { origin, pathname } = new URL(url);
  const session = connect(origin, { settings: { initialWindowSize: 2 ** 24 } });
  const stream = session.request({ ":method": "POST", ":path": pathname, "content-type": "application/grpc", te: "trailers" });
  stream.on("trailers", (trailers) => console.log(`grpc-status ${trailers["grpc-status"]} ${trailers["grpc-message"] ?? ""}`));
  void send(stream);
  console.log(await lengthOf(stream));
  session.close();
} else {
  const sent = request(url, { method, headers });
  void send(sent);
  const response = await new Promise((resolve, reject) => sent.on("response", resolve).on("error", reject));
  console.log(`status ${response.statusCode}`);
  console.log(await lengthOf(response));
}
