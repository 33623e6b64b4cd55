/**
 * `Promise.all` that rejects no earlier than when all of `work` has ended: whoever is told of a
 * failure may rely on nothing going on. Rejects with the reason that came first.
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
