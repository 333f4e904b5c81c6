import { test } from 'vitest';
import { add } from '../src/money.js';
test('adds', () => {
  if (add(1, 2) !== 3) throw Object.assign(new Error('expect(3)'), { name: 'AssertionError' });
});
