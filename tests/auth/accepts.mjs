// The other direction: reads one line {"key", "token", "user"} made by our
// mint_token and fails unless jose verifies it.
import { text } from 'node:stream/consumers';
import * as jose from 'jose';

const { key, token, user } = JSON.parse(await text(process.stdin));
const { payload } = await jose.jwtVerify(token, new TextEncoder().encode(key), {
  algorithms: ['HS256'],
  issuer: 'colloquy',
  requiredClaims: ['sub', 'iat', 'exp', 'jti'],
});
if (payload.sub !== user) throw new Error(`the subject is ${payload.sub}`);
console.log('jose accepts our token');
