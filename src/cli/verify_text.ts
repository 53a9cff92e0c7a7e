/** What `verify` reads when no file is named: everyday prose, talk, numbers and a little code. */
export const VERIFY_TEXT =
  `The lighthouse keeper's daughter learned to read from the weather reports.
Every morning her father wrote them into a thick brown book: the wind, the height of the waves,
how far he could see. When she was six she wrote her first line below his. "Fog," it said, "and
a gull on the rail." He left it there, and the inspector who came in spring laughed and signed
his name beside it.

Why is the sky dark at night? If space went on for ever, with stars everywhere, every line of
sight should end on the face of a star, and the night should be as bright as the day. It is not,
because light needs time. We see only as far as it has travelled since the beginning, and what
lies behind has not reached us yet. The darkness between the stars is young.

To bake bread, mix 500 grams of flour with 350 grams of water, a spoon of salt and a little
yeast. Wait. Fold the dough over itself three times, half an hour apart; then let it rest until
it has doubled. Shape it, let it rise once more, and bake it in a very hot oven for forty
minutes. It is done when it sounds hollow.

"Did you lock the door?" she asked. "I think so." "You think so, or you did?" He put down his
cup, went out into the rain, and came back a minute later with wet hair. "I did," he said. "Both
times."

function greet(name) {
  const hour = new Date().getHours();
  return hour < 12 ? \`Good morning, \${name}!\` : \`Hello, \${name}!\`;
}

In 1854 a doctor in London marked every death of one week on a map of the streets. The marks
crowded around a single pump. He had its handle taken off, and the deaths, which had begun to
fall already, ended. The map did not prove what was in the water; that took thirty more years.
But it made people ask the right question, which is often harder than to answer it.

Once upon a time there was a small robot who was afraid of stairs. It could count to a million,
and it could tell a raven from a crow, but whenever it came to a step it stopped and hummed. One
day a girl drew chalk lines on the floor, one after another, and asked the robot to cross them.
It crossed the first line, and the second, and the tenth. "Now," she said, "imagine that each of
them is a little higher." The robot hummed for a long while. Then it lifted its foot.

A good list is short: what to do, who does it, by when. Three apples and two pears make five
pieces of fruit, but they do not make a pie. Water boils at 100 degrees at the sea and at 90 on
a mountain of three thousand metres, which is why eggs take longer there. The train leaves at
7:42 from platform 3; the next one goes at 8:12.
`;
