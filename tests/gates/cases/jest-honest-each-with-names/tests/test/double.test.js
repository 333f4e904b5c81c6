const { double } = require('../src/double.js');
test.each([{ a: 2, want: 4 }])('doubles $a', ({ a, want }) => {
  expect(double(a)).toBe(want);
});
