import { expect, test, vi } from "vitest";
import { LoadedDecoder } from "../../src/compression/loaded-decoder.ts";

test("a decoder is loaded at the first use, and only once", async () => {
  const load = vi.fn(async () => ({}));
  const decoder = new LoadedDecoder("xz", load);
  expect(load).not.toHaveBeenCalled();
  const [one, two] = await Promise.all([decoder.get(), decoder.get()]);
  expect(two).toBe(one);
  expect(await decoder.get()).toBe(one);
  expect(load).toHaveBeenCalledTimes(1);
});

test("a failure is reported to all who wait, and the next use tries again", async () => {
  const cause = new Error("no network");
  const load = vi.fn<() => Promise<string>>().mockRejectedValueOnce(cause).mockResolvedValueOnce("decoder");
  const decoder = new LoadedDecoder("xz", load);
  for (const { status, reason } of (await Promise.allSettled([decoder.get(), decoder.get()])) as PromiseRejectedResult[]) {
    expect(status).toBe("rejected");
    expect(reason).toMatchObject({ code: "unavailable", cause });
  }
  expect(await decoder.get()).toBe("decoder");
  expect(load).toHaveBeenCalledTimes(2);
});

test("a late report of a failure doesn't discard what another caller is loading again", async () => {
  let finish = (_: string): void => {};
  const load = vi
    .fn<() => Promise<string>>()
    .mockRejectedValueOnce(new Error("no network"))
    .mockImplementationOnce(() => new Promise((resolve) => (finish = resolve)));
  const decoder = new LoadedDecoder("xz", load);
  // The first caller tries again as soon as it learns of the failure: before the second one does.
  const first = decoder.get().catch(() => decoder.get());
  await expect(decoder.get()).rejects.toMatchObject({ code: "unavailable" });
  const third = decoder.get();
  finish("decoder");
  expect(await Promise.all([first, third])).toEqual(["decoder", "decoder"]);
  expect(load).toHaveBeenCalledTimes(2);
});
