import { once } from "node:events";
import type { DescService } from "@bufbuild/protobuf";
import { StoreError } from "../../error.ts";
import { HealthCheckResponse_ServingStatus as Status } from "../../wire/gen/grpc/health/v1/health_pb.ts";
import { answer, answerStream } from "./answer.ts";

/**
 * Handlers of `grpc.health.v1.Health`. All services are SERVING from the start until `closing` is
 * aborted.
 */
export function healthHandlers(services: readonly DescService[], closing: AbortSignal) {
  const names = new Set(["", ...services.map((service) => service.typeName)]);
  const status = () => (closing.aborted ? Status.NOT_SERVING : Status.SERVING);
  return {
    check: answer(async ({ service }: { service: string }) => {
      if (!names.has(service)) throw new StoreError("not-found", `there is no service ${JSON.stringify(service)}`);
      return { status: status() };
    }),

    watch: answerStream(async function* ({ service }: { service: string }, { signal }) {
      yield { status: names.has(service) ? status() : Status.SERVICE_UNKNOWN };
      if (!closing.aborted) await once(closing, "abort", { signal });
      if (names.has(service)) yield { status: Status.NOT_SERVING };
    }),
  };
}
