/**
 * Waits like `Promise.all`, but rejects only after all promises in `work` have settled. A caller
 * that sees the rejection can rely on no work going on. Rejects with the reason that came first.
 */
export async function allEnded<T>(work: Iterable<Promise<T>>): Promise<T[]> {
  let first: { readonly reason: unknown } | undefined;
  const watched = [...work].map((one) =>
    one.catch((reason: unknown) => {
      first ??= { reason };
      throw reason;
    }),
  );
  const ended = await Promise.allSettled(watched);
  if (first) throw first.reason;
  return ended.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
