// A client that others wrote, run as its manual says: oauth4webapi, which refuses whatever is not to the letter.
// `node judge.mjs SETTINGS`. A check is one entry of `checks`; a new flow is one more of them.

import { readFile } from 'node:fs/promises'
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'

const settings = JSON.parse(await readFile(process.argv[2], 'utf8'))
// The server that is judged runs on this machine, without TLS.
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(settings.url)
const api = new URL('/v2/products?limit=1', issuer)

const discovered = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' })
const server = await oauth.processDiscoveryResponse(issuer, discovered)

async function grant(clientOf, authentication, options = {}) {
  const client = { client_id: clientOf.client_id }
  const ask = () =>
    oauth.clientCredentialsGrantRequest(
      server,
      client,
      authentication,
      new URLSearchParams({ scope: 'products:read', resource: `${settings.url}/v2` }),
      { ...insecure, ...options },
    )
  const read = async () => oauth.processClientCredentialsResponse(server, client, await ask())
  try {
    return await read()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return await read() // the handle has kept the nonce
  }
}

async function call(token, options = {}) {
  const ask = () =>
    oauth.protectedResourceRequest(token, 'GET', api, undefined, undefined, { ...insecure, ...options })
  try {
    return await ask()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return await ask()
  }
}

async function privateKey(alg) {
  const jwk = settings.private_keys[alg]
  const algorithm = {
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    EdDSA: { name: 'Ed25519' }, // and so it calls it in what it signs (RFC 9864)
    RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  }[alg]
  const { alg: _, use: __, key_ops: ___, ...bare } = jwk
  return { key: await crypto.subtle.importKey('jwk', bare, algorithm, false, ['sign']), kid: jwk.kid }
}

const basic = (client) => oauth.ClientSecretBasic(client.client_secret)
const post = (client) => oauth.ClientSecretPost(client.client_secret)
const { secret_client, signing_client, dpop_client } = settings

const checks = {
  async discovery() {
    assert.equal(server.issuer, settings.url)
    const resource = new URL('/v2', issuer)
    const answer = await oauth.resourceDiscoveryRequest(resource, insecure)
    const metadata = await oauth.processResourceDiscoveryResponse(resource, answer)
    assert.deepEqual(metadata.authorization_servers, [settings.url])
  },

  async client_credentials() {
    for (const way of [basic, post]) {
      const { access_token, scope } = await grant(secret_client, way(secret_client))
      assert.equal(scope, 'products:read')
      assert.equal((await call(access_token)).status, 200)
    }
  },

  async private_key_jwt() {
    for (const alg of ['ES256', 'EdDSA', 'RS256']) {
      const way = oauth.PrivateKeyJwt(await privateKey(alg))
      const { access_token } = await grant(signing_client, way)
      assert.equal((await call(access_token)).status, 200)
    }
  },

  async dpop() {
    for (const alg of ['ES256', 'Ed25519']) {
      const keys = await oauth.generateKeyPair(alg)
      const client = { client_id: dpop_client.client_id }
      const DPoP = oauth.DPoP(client, keys)
      const token = await grant(dpop_client, basic(dpop_client), { DPoP })
      assert.equal(token.token_type, 'dpop')
      assert.equal((await call(token.access_token, { DPoP })).status, 200)
      assert.equal((await call(token.access_token, { DPoP })).status, 200)
      // As Bearer, and with another key.
      await assert.rejects(call(token.access_token), oauth.WWWAuthenticateChallengeError)
      const other = oauth.DPoP(client, await oauth.generateKeyPair(alg))
      await assert.rejects(call(token.access_token, { DPoP: other }), oauth.WWWAuthenticateChallengeError)
    }
    await assert.rejects(grant(dpop_client, basic(dpop_client)), oauth.ResponseBodyError)
  },

  async introspection_and_revocation() {
    const client = { client_id: secret_client.client_id }
    const { access_token } = await grant(secret_client, basic(secret_client))
    const introspect = async () => {
      const way = basic(secret_client)
      const answer = await oauth.introspectionRequest(server, client, way, access_token, insecure)
      return oauth.processIntrospectionResponse(server, client, answer)
    }
    const alive = await introspect()
    assert.equal(alive.active, true)
    assert.equal(alive.client_id, client.client_id)
    const answer = await oauth.revocationRequest(server, client, post(secret_client), access_token, insecure)
    await oauth.processRevocationResponse(answer)
    assert.deepEqual(await introspect(), { active: false })
  },

  async jwt_access_token() {
    // As a resource server does that verifies tokens itself.
    const { access_token } = await grant(signing_client, oauth.PrivateKeyJwt(await privateKey('ES256')))
    const request = new Request(api, { headers: { authorization: `Bearer ${access_token}` } })
    const claims = await oauth.validateJwtAccessToken(server, request, `${settings.url}/v2`, insecure)
    assert.equal(claims.client_id, signing_client.client_id)
    await assert.rejects(oauth.validateJwtAccessToken(server, request, 'https://other.example', insecure))
  },

  async dynamic_registration() {
    const keys = await privateKey('ES256')
    const { d: _, ...publicKey } = settings.private_keys.ES256
    const jwks = { keys: [publicKey] }
    for (const [metadata, way] of [
      [{ token_endpoint_auth_method: 'client_secret_basic' }, basic],
      [{ token_endpoint_auth_method: 'client_secret_post' }, post],
      [{ token_endpoint_auth_method: 'private_key_jwt', jwks }, () => oauth.PrivateKeyJwt(keys)],
    ]) {
      const wanted = {
        client_name: 'Registered by itself',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        scope: 'products:read',
        ...metadata,
      }
      const answer = await oauth.dynamicClientRegistrationRequest(server, wanted, {
        ...insecure,
        initialAccessToken: settings.registration_token,
      })
      const client = await oauth.processDynamicClientRegistrationResponse(answer)
      const { access_token } = await grant(client, way(client))
      assert.equal((await call(access_token)).status, 200)
    }
    const refused = await oauth.dynamicClientRegistrationRequest(server, {}, {
      ...insecure,
      initialAccessToken: 'wrong',
    })
    await assert.rejects(
      oauth.processDynamicClientRegistrationResponse(refused),
      oauth.WWWAuthenticateChallengeError,
    )
  },

  async refusals() {
    await assert.rejects(grant(secret_client, oauth.ClientSecretBasic('wrong')), (error) => error.status === 401)
    await assert.rejects(call('nonsense'), oauth.WWWAuthenticateChallengeError)
  },
}

for (const [name, judge] of Object.entries(checks)) {
  await judge()
  console.log(`    oauth4webapi ${name}: ok`)
}
