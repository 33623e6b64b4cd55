import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect, createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { expect, test } from "vitest";
import { breakOff, isComplete, type ServerAnswer, type ServerRequest, whenGone } from "../../src/node/server-request.ts";

/** Reads each request to its end, and tells whether it was complete. */
function completions() {
  const seen: boolean[] = [];
  const handle = (received: ServerRequest, answer: ServerAnswer): void => {
    received.on("error", () => {});
    received.resume().once("close", () => seen.push(isComplete(received)));
    if (received.url === "/broken") {
      answer.writeHead(200);
      (answer as { write(text: string): unknown }).write("half");
      setImmediate(() => breakOff(answer));
    } else {
      received.once("end", () => {
        answer.writeHead(200).end();
      });
    }
  };
  return { seen, handle };
}

test("over HTTP/1, a request is complete if the client sent all of it, and a broken answer is an error", async () => {
  const { seen, handle } = completions();
  const server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  const options = { port: (server.address() as AddressInfo).port, method: "PUT", headers: { "content-length": 4 } };
  const whole = request(options).end("body");
  (await once(whole, "response"))[0].resume();
  await expect.poll(() => seen).toEqual([true]);
  const half = request(options).on("error", () => {});
  half.write("bo");
  await once(half, "socket");
  setTimeout(() => half.destroy(), 20);
  await expect.poll(() => seen).toEqual([true, false]);
  const broken = request({ ...options, path: "/broken", method: "GET", headers: {} }).end();
  const [response] = await once(broken, "response");
  await expect(response.toArray()).rejects.toThrow();
  server.close();
});

test("over HTTP/2 too", async () => {
  const { seen, handle } = completions();
  const server = createHttp2Server(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const whole = session.request({ ":method": "PUT" });
  whole.resume().end("body");
  await once(whole, "close");
  await expect.poll(() => seen).toEqual([true]);
  const half = session.request({ ":method": "PUT" });
  half.on("error", () => {}).write("bo");
  setTimeout(() => half.close(8), 20);
  await expect.poll(() => seen).toEqual([true, false]);
  const broken = session.request({ ":path": "/broken" });
  await expect(broken.toArray()).rejects.toThrow();
  session.destroy();
  server.close();
});

test("if a connection closes, each of its requests learns it once, also those whose answers wait", async () => {
  let gone = 0;
  let begun = 0;
  const server = createServer((received, answer) => {
    begun++;
    whenGone(received, answer, () => gone++);
    if (received.url === "/end") answer.end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connectSocket((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write("GET /end HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2) + "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20));
  await expect.poll(() => begun).toBe(22);
  await expect.poll(() => gone).toBe(2);
  socket.destroy();
  await expect.poll(() => gone).toBe(22);
  server.close();
});
