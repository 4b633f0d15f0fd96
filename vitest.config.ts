import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "scripts/**/*.test.ts", "test/unit/**/*.test.ts", "bench/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
      // Against the built product in dist/: real servers and SDKs on loopback.
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          globalSetup: ["test/support/build-once.ts"],
          maxWorkers: 2,
          // Real servers and clients on a shared machine: a test that fails twice is wrong, one that fails once may have been starved.
          retry: 1,
          // After the unit tests: they would take each other's cores, and vitest asks for an order.
          sequence: { groupOrder: 1 },
        },
      },
      // Minutes each: a real vLLM, kill -9 loops, the real agents. One at a time.
      {
        test: {
          name: "slow",
          include: ["test/slow/**/*.test.ts"],
          testTimeout: 900_000,
          retry: 2,
          hookTimeout: 900_000,
          globalSetup: ["test/support/build-once.ts"],
          fileParallelism: false,
        },
      },
    ],
  },
});
