// Makes the Debian package of the program that is tested, for package.test.mjs and container.test.mjs.
import { makePackage } from './machine.mjs';

await makePackage();
