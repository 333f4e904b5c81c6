import { test } from 'node:test';
import * as money from '../src/money.js';
test('first of none', () => {
  if (money.first([]) !== undefined) throw Object.assign(new Error('expect(undefined)'), { name: 'AssertionError' });
});
