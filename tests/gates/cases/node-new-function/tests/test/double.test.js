import { test } from 'node:test';
import * as money from '../src/money.js';
test('doubles', () => {
  if (money.double(2) !== 4) throw Object.assign(new Error('expect(4)'), { name: 'AssertionError' });
});
