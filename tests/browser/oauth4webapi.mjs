// One flow by oauth4webapi, which refuses whatever a standard does not allow. Prints one line of JSON.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [step, text] = process.argv.slice(2);
const given = JSON.parse(text);
const resolve = createRequire(process.env.NODE_PACKAGES + "/").resolve;
const oauth = await import(pathToFileURL(resolve("oauth4webapi")));

const plain = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(given.url);
const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...plain });
const server = await oauth.processDiscoveryResponse(issuer, discovered);
const client = { client_id: given.client };
const authentication = given.secret ? oauth.ClientSecretBasic(given.secret) : oauth.None();

const products = async (token, options = {}) => {
  const url = new URL("/v2/products?limit=1", given.url);
  try {
    const answer = await oauth.protectedResourceRequest(token, "GET", url, undefined, undefined, { ...plain, ...options });
    return answer.status;
  } catch (error) {
    if (error instanceof oauth.WWWAuthenticateChallengeError) return error.status;
    throw error;
  }
};

const steps = {
  async client_credentials() {
    const asked = await oauth.clientCredentialsGrantRequest(server, client, authentication, new URLSearchParams(), plain);
    const { access_token } = await oauth.processClientCredentialsResponse(server, client, asked);
    const active = async () => {
      const answer = await oauth.introspectionRequest(server, client, authentication, access_token, plain);
      return (await oauth.processIntrospectionResponse(server, client, answer)).active;
    };
    const told = { products: await products(access_token), active: await active() };
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, authentication, access_token, plain),
    );
    return { ...told, revoked: await products(access_token), dead: await active() };
  },

  async device() {
    const asked = await oauth.deviceAuthorizationRequest(server, client, authentication, new URLSearchParams(), plain);
    const device = await oauth.processDeviceAuthorizationResponse(server, client, asked);
    console.log(JSON.stringify(device));
    for (let interval = device.interval; ; ) {
      await new Promise((done) => setTimeout(done, interval * 1000));
      try {
        const asked = await oauth.deviceCodeGrantRequest(server, client, authentication, device.device_code, plain);
        const { access_token } = await oauth.processDeviceCodeResponse(server, client, asked);
        return { products: await products(access_token) };
      } catch (error) {
        if (error.error === "slow_down") interval += 5;
        else if (error.error !== "authorization_pending") throw error;
      }
    }
  },
};

console.log(JSON.stringify(await steps[step]()));
