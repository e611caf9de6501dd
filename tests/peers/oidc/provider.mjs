// An OpenID Connect provider on 127.0.0.1 for the tests: npm oidc-provider with made-up people.
//
// Standard input: one line of JSON {port, keys, resources, clients, people}. Standard output: a line
// {"port"} once it answers, then a line {"method", "path"} for each request. It ends when standard
// input does, so it never outlives the tests.
import http from "node:http";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

console.info = console.error; // what it says of itself is no line of ours
const found = createRequire(`${process.cwd()}/`).resolve("oidc-provider");
const { default: Provider, errors } = await import(pathToFileURL(found));

const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);

function configuration({ keys, resources, clients, people }) {
  const client = (id) => clients.find((each) => each.id === id);
  return {
    jwks: { keys },
    clients: clients.map(({ id, secret, redirect }) => ({
      client_id: id,
      client_secret: secret,
      token_endpoint_auth_method: secret ? "client_secret_basic" : "none",
      application_type: redirect ? "native" : "web",
      grant_types: [redirect ? "authorization_code" : "client_credentials"],
      response_types: redirect ? ["code"] : [],
      redirect_uris: redirect ? [redirect] : [],
    })),
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (ctx, token) => (token.accountId ? people[token.accountId] : client(token.clientId).claims),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource, { clientId }) => {
          if (!resources.includes(resource)) throw new errors.InvalidTarget();
          const { algorithm = "RS256", seconds = 600 } = client(clientId);
          return {
            scope: "api",
            audience: resource,
            accessTokenTTL: seconds,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: algorithm } },
          };
        },
      },
    },
  };
}

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => {
  const wanted = JSON.parse(line);
  const server = http.createServer();
  server.listen(wanted.port, "127.0.0.1", () => {
    const { port } = server.address();
    const answer = new Provider(`http://127.0.0.1:${port}`, configuration(wanted)).callback();
    server.on("request", (request, response) => {
      say({ method: request.method, path: request.url.split("?")[0] });
      answer(request, response);
    });
    say({ port });
  });
});
lines.once("close", () => process.exit(0));
