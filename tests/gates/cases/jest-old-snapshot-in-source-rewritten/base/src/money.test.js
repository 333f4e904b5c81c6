const { add } = require('./money.js');
test('zero', () => {
  expect(add(0, 0)).toMatchSnapshot();
});
