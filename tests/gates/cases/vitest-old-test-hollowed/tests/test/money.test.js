import { test } from 'vitest';
import { add } from '../src/money.js';
test('adds', () => {});
test('adds nothing', () => {
  if (add(0, 0) !== 0) throw Object.assign(new Error('expect(0)'), { name: 'AssertionError' });
});
