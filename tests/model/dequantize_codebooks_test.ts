/**
 * Types of codebooks and ternary digits against ggml (llama.cpp de3ff81): of each type 256 weights
 * that its quantiser made of normal floats, and 256 of random bits, with the numbers that its
 * dequantiser makes of them: the first three, and the head of the SHA-256 of all as f32.
 */
import { assertEquals } from "@std/assert";
import { codebook, CODEBOOK_NAMES, evenSigns } from "../../src/model/quants/codebooks.ts";
import { dequantize } from "../../src/model/quants/dequantize.ts";

const GOLDEN = [
  {
    type: "IQ2_XXS",
    blocks: [
      {
        bytes: "0hIGBAxJwG6l9GmhcACnse6wsjjTfYtbJKymtYY3ztgDwlHvgbo16HKipwYZYnJQMbxrsDFlFjoQtKyg" +
          "IsXuLl6S",
        first: [0.025809288024902344, 0.08065402507781982, 0.08065402507781982],
        sha256: "691c3d2b8a3a81c7a745338cc87780e5",
      },
      {
        bytes: "uj6F7d1apRWt5aG3tq5QumU742nW6JlfgINqwrhl3IBsXG9go/NOhzXQ6IiS/dljzI/iP3BsDLaoooQh" +
          "M7bMcm+S",
        first: [-48.767578125, 152.398681640625, -48.767578125],
        sha256: "345c8ec7d288f718d1640cd388ac9d2e",
      },
    ],
  },
  {
    type: "IQ2_XS",
    blocks: [
      {
        bytes: "FRQwC4DoA9t+VgCsWGQ2Z5Xgm4cm8QAuMJKwDR/YxzzVUO9LkN0BI5nNGeYwbsy4lqhfn6uOJsMZ8U6j" +
          "A/YAMAkuebi7bphaifc=",
        first: [-0.018935203552246094, 0.05917251110076904, -0.018935203552246094],
        sha256: "91ff3d8c7d393280b9279c3efefbb5b4",
      },
      {
        bytes: "KzO/AbSJZ6fhn7TLi/owdRvKchNqaCLTFR3PTAQ7HsxiT3h4+dFetQaX23HtVb91+yuRYUf/btcoC5NL" +
          "+lOkzc+haNKfvv5jQGM=",
        first: [3.8079833984375, 20.467910766601562, 20.467910766601562],
        sha256: "16daafe5a69c81dd7224f2eab6f475b4",
      },
    ],
  },
  {
    type: "IQ2_S",
    blocks: [
      {
        bytes: "3RPiVhCv75u1PTwGBrKtZR3l9CJv2TafOisJIzorlko0BgaCailsRam3EBfujAkiVO3Q+2BiIRfMA58X" +
          "iiFomrF5ieHzEQDhIDmrqI+4jpqdyQ==",
        first: [0.11866432428359985, -0.06899088621139526, -0.11866432428359985],
        sha256: "7fe3c86641cfa82b0a4b32c035563a7c",
      },
      {
        bytes: "EauqFT1IAWdthuDXGpJw7pGpncZMlst4fnBJSojzXwHVyqZtTpeL+F60dVeo6niA4NPj7z2xeS8FvQ/N" +
          "05QB1iSS4lO/JfKwVQo5gOvMxLQ0uQ==",
        first: [-3.277873992919922, 3.277873992919922, 1.048919677734375],
        sha256: "9e1473e0e7d46c0000cb546ef32350ce",
      },
    ],
  },
  {
    type: "IQ3_XXS",
    blocks: [
      {
        bytes: "vg9OHbIvhI4plw7ufZcHG1F7rl8f1cP+QFcW+lAx4wuxmBaQLikJBRScFpOsLeQBcrwDAA4AFmEAalaF" +
          "ussoV6df8uD3nyVPy7aElAtka+QSZW7a0nRCketBXWyN/0yKYFQ=",
        first: [0.026935100555419922, -0.0448918342590332, 0.0448918342590332],
        sha256: "683b771acaeba058903cf8a4cba11a62",
      },
      {
        bytes: "eSszGJ0LdjEnXok6B8l9nSHC2syvOeED33eRFRZr3NKXncm94I19k6r1nTKtKHMjY4CFvqV5hBH05Ncz" +
          "dMpNM1zDioRXYTTXS6dpZl12O/TFsOiMVFSs3QXJVG2XR/PIOc0=",
        first: [8.348358154296875, -5.312591552734375, 9.866241455078125],
        sha256: "eb2842122e23f6ec2c5b68bb18dc7d72",
      },
    ],
  },
  {
    type: "IQ3_S",
    blocks: [
      {
        bytes: "PAyKmrH3lyJL1BUvlNg0Mhxpi2k3kpfCPo3LIFOSeOjPrkRK7VvcJy0BwVlshknoyfZfZ2QNLXeZaVeX" +
          "LryEU61uRyI0hCk8wx52TI6mY5OSixEH1zsUoG0GYekmuZbP0d2RK8SQ5t+3N+y9368=",
        first: [0.045228004455566406, -0.01938343048095703, -0.08399486541748047],
        sha256: "cd9960c438cad3df86cd5130c80cc700",
      },
      {
        bytes: "Irb9bd3FFwPuNT0iN5WRLw8RJGsBd/tHn4tg/W3QWpUcVYr3ZQZHivnB3IdjHA7whtPX3EQvIu73YNZm" +
          "AWcTH/aQAMXl4TDY8Bm4joA5Jb7OD+7ADyrJgMNk4MIMMIuGwdjI+Y5IjoXFmGVbjb4=",
        first: [-12.64892578125, -4.21630859375, -37.94677734375],
        sha256: "8837f58ad5a96f31bdf39d3f9bcbd9e3",
      },
    ],
  },
  {
    type: "IQ1_S",
    blocks: [
      {
        bytes: "Hh72sXmJ0uMGMRLKaBBQGVMLAAjJ/rNgcJKLMi1qHna/KZHQ/9RVaGxOJXZO5UdX6O4=",
        first: [-0.008213996887207031, -0.07392597198486328, -0.008213996887207031],
        sha256: "f0f460726afff595d430942180ed1e60",
      },
      {
        bytes: "tqNPScwGBX9pmJU/bMzEw7nY+XeoxJKVluJhwJbBr19akn6MZqGOWU3j9YIpiTZjJIY=",
        first: [0.016942977905273438, 0.0018825531005859375, 0.0018825531005859375],
        sha256: "892c78f4fb4f48292f23649182979031",
      },
    ],
  },
  {
    type: "IQ1_M",
    blocks: [
      {
        bytes: "F8+3OVBScANyJLxXR/d0ON5eoBWOMFJmHKwOjjcS7nk9+5m58EaJiVa200N90srLEzWaROMZmyY=",
        first: [-0.08092975616455078, 0.06294536590576172, -0.08092975616455078],
        sha256: "01bb0aaa1e2490ddaa4c4068bba35a37",
      },
      {
        bytes: "LOtUk+jvyH8yJyoX85Y+EnY5zVTA+XEKrWOFw6u8n5IU7vhiEjUI6l2bbIN01jQvomw3YwmWDCI=",
        first: [0.02635955810546875, 0.02635955810546875, 0.02635955810546875],
        sha256: "23f7dc925a7dacf29efba086196a5d03",
      },
    ],
  },
  {
    type: "TQ1_0",
    blocks: [
      {
        bytes: "eoCA1YB9gICAgitEYICAuYmA1oBkiW2BgKmAnICAg4CAZ4CBc2SNuYDVgIDJgLmJiH9/0U8w",
        first: [0.0, 0.0, 0.0],
        sha256: "cdfa048178eb6da355d371636134cb15",
      },
      {
        bytes: "AoP8Vo6E6j9XGNwQmyqicAyqjgXZomc5piIBjaVJMI+DDm4dEPaGa/CnPnKNdxo82wohq5M2",
        first: [-0.410888671875, 0.0, 0.410888671875],
        sha256: "267bff11e3d22e16070693bb931135e0",
      },
    ],
  },
  {
    type: "TQ2_0",
    blocks: [
      {
        bytes: "VVVVVUVVVZVVVVVVVVpVVVVRVVVVVSVVVWUVVVVVUVVVVVZVVVVWVWVVJRVVVVVVVVFVRVVRVVVVWVVV" +
          "VVVVVjcx",
        first: [0.0, 0.0, 0.0],
        sha256: "9e26f9822b1aca028d4a05c864f3aac1",
      },
      {
        bytes: "dbizS88Z5s1KPshF57t0i8UfBcIIalY20ymhGYvk635y9YE08n5AWCDdLb9LHdLqkjbtHej0aDi7Vztw" +
          "69XRngs1",
        first: [0.0, -0.315185546875, 0.63037109375],
        sha256: "b488119b6b7081a0ef1ccc9c52285bde",
      },
    ],
  },
  {
    type: "Q1_0",
    blocks: [
      {
        bytes: "fSkCn7apIr3Bun0JI2SvO/KhLSl5PzM6lA72L/TCFY3oOf73",
        first: [-0.042877197265625, 0.042877197265625, -0.042877197265625],
        sha256: "0185d6558c1e0a5e92dbd857394e2333",
      },
      {
        bytes: "Xatz23CoJ1tGtyEY+H620by6DrQ5y1aUwVf+ur6jy8az+meC",
        first: [-0.057525634765625, -0.057525634765625, 0.057525634765625],
        sha256: "d1fe1dd02905ec03efe6cb1071f2d297",
      },
    ],
  },
  {
    type: "Q2_0",
    blocks: [
      {
        bytes: "iTJVVVlVVVVVWVUVVVVVRVVV6DBVVhVlUVVVVFVWVUVVBVVVojBVVVRaVVVZVVVlAaQVVVlEcC5FBVUU" +
          "VZFZSVFaVBGlYaVV",
        first: [0.0, 0.0, 0.0],
        sha256: "3ef4e9fbc50383da780f6fe4d9a63991",
      },
      {
        bytes: "zbYbIHR1cfg3f6AppqNxYzHsFjsCZvUGTNXSPBDIhuRVQUx58Dy4eRJVyrO8IpziQCQPG0EHzzSZkNsp" +
          "UGHp5L7HLe/iNhLW",
        first: [-0.85009765625, -0.425048828125, -0.0],
        sha256: "c9e915b2cf328aecc5b63d607d7db965",
      },
    ],
  },
];

for (const { type, blocks } of GOLDEN) {
  Deno.test(`dequantize() of ${type} gives the numbers of ggml, bit for bit`, async () => {
    for (const { bytes, first, sha256 } of blocks) {
      // Some zeros of ggml are negative, and so are ours.
      const weights = dequantize(type, Uint8Array.fromBase64(bytes));
      assertEquals([...weights.subarray(0, 3)], first.map(Math.fround));
      const digest = await crypto.subtle.digest("SHA-256", weights);
      assertEquals(new Uint8Array(digest).toHex().slice(0, 32), sha256);
    }
  });
}

Deno.test("evenSigns() adds the eighth sign that makes their number even", () => {
  for (let seven = 0; seven < 128; seven++) {
    const signs = evenSigns(seven);
    assertEquals(signs & 127, seven);
    assertEquals(signs.toString(2).replaceAll("0", "").length % 2, 0, String(seven));
  }
});

Deno.test("codebook() has sizes of which four products fit into 16 bits", () => {
  for (const name of CODEBOOK_NAMES) {
    assertEquals(codebook(name).every((level) => Math.abs(level) * 127 * 4 < 2 ** 15), true, name);
  }
});
