/** Prints the OpenAPI document, for `npm run check`. It needs no database: none is connected to. */
import { importSecretKey } from "@postern/secrets";
import { openDatabase } from "@postern/store";
import { createAdminApp } from "./app.ts";
import { openStores } from "./stores.ts";

const database = openDatabase("postgres://nobody@127.0.0.1:1/nothing", {
  applicationName: "postern describe",
});
const app = createAdminApp({
  ...openStores(database),
  ping: () => Promise.resolve(),
  token: "none",
  hostname: "gateway.test",
  secretKey: await importSecretKey(new Uint8Array(32)),
  onError: (error) => {
    throw error;
  },
});
const response = await app.request("/v1/openapi.json");
console.log(JSON.stringify(await response.json(), null, 2));
await database.close();
