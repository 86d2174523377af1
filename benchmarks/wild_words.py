"""Words of many countries for `wild_tables`: names, streets, towns, trades, illnesses.

Written from general knowledge, not from the lists that the engine uses.
"""

# Lists of words read better so.
# ruff: noqa: E501, SIM905 # lists of words

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Culture:
    """What a country's columns are made of.

    Attributes:
        region: ISO 3166 code, for telephone numbers.
        streets: with `{n}` where the number stands.
        postcode: `#` a digit, `@` a letter.
        tongue: whose words its headers take.
    """

    region: str
    tongue: str
    given: str
    family: str
    streets: str
    towns: str
    postcode: str


CULTURES: tuple[Culture, ...] = (
    Culture("DE", "de",
        "Jürgen Heike Thorsten Annegret Uwe Silke Detlef Birgit Hannelore Torben Maike Wiebke Lars "
        "Gudrun Holger Elke Rüdiger Ute Volker Sabine Ingo Petra Hauke Swantje Florian Leonie",
        "Petersen Brinkmann Ostermann Thiele Krüger Lindner Nowak Hagemann Wessels Bockholt Jansen "
        "Kowalczyk Schäfer Dittrich Ehlers Vogt Riedel Stahl Grünwald Ulrich Hinrichs Feldmann "
        "Zimmer Rademacher Oltmanns Böhm Kettler Weiß",
        "Gartenweg {n}|Am Mühlenbach {n}|Bahnhofstr. {n}|Schillerstraße {n}a|Lange Reihe {n}|"
        "Kirchplatz {n}|Hinter der Mauer {n}|An der Alten Ziegelei {n}|Goethering {n}",
        "Oldenburg|Celle|Bad Homburg|Görlitz|Husum|Emden|Rheine|Lüneburg|Wismar|Hof|Passau|Aalen|"
        "Neuss|Minden|Suhl|Gera|Plauen|Soest|Stade|Jena|Worms|Fulda", "#####"),
    Culture("NG", "en",
        "Chinedu Ngozi Babatunde Folake Emeka Adaeze Olumide Yetunde Ifeanyi Amaka Segun Bukola "
        "Chukwuma Nneka Tunde Temitope Obinna Uche Damilola Kelechi Funmilayo Ikenna Aisha Musa",
        "Okonkwo Adeyemi Balogun Eze Nwosu Afolabi Ogunleye Obi Ibrahim Okafor Adebayo Onyekachi "
        "Bello Akinwande Chukwu Oyelaran Danjuma Olawale Nnamdi Igwe Abubakar Ojo Uzoma Fashola",
        "{n} Allen Avenue|{n} Awolowo Road|{n} Aba Road|{n} Bode Thomas Street|{n} Adeola Odeku St|"
        "Plot {n} Ahmadu Bello Way|{n} Ogui Road|{n} Herbert Macaulay Way",
        "Lagos|Ibadan|Enugu|Kano|Abeokuta|Onitsha|Kaduna|Benin City|Jos|Ilorin|Owerri|Calabar|"
        "Akure|Warri|Maiduguri|Sokoto|Minna|Uyo|Ikeja|Osogbo", "######"),
    Culture("FR", "fr",
        "Benoît Solène Thibault Maëlle Gaëtan Océane Yannick Clémence Loïc Margaux Pascal Sylvie "
        "Aurélien Capucine Étienne Odile Fabrice Noémie Romain Gisèle Xavier Mireille Joël Anaïs",
        "Lefebvre Chevallier Gauthier Perrot Marchand Guillou Fontaine Barbier Le\u00a0Goff Roussel "
        "Delaunay Picard Brunet Aubert Vasseur Maillard Collet Hamon Carpentier Besnard Prévost "
        "Leclercq Charrier Tessier",
        "{n} rue de la République|{n} bis avenue Jean Jaurès|{n}, impasse des Lilas|{n} bd Voltaire|"
        "{n} chemin du Moulin|{n} allée des Tilleuls|{n} place de l'Église|{n} quai Saint-Michel",
        "Quimper|Aurillac|Saint-Brieuc|Chambéry|Roanne|Vannes|Angers|Béziers|Castres|Le Puy-en-Velay|"
        "Laval|Niort|Épinal|Bourg-en-Bresse|Pau|Tarbes|Dax|Albi|Gap|Mende|Nevers|Lorient", "#####"),
    Culture("VN", "en",
        "Minh Thuy Duc Lan Hung Phuong Quang Huong Tuan Mai Khanh Trang Dung Nga Long Hoa Bao Linh "
        "Son Yen Viet Thao Kien Ngoc",
        "Nguyen Tran Pham Hoang Vo Dang Bui Do Ngo Duong Ly Phan Vu Truong Dinh Lam Trinh Doan "
        "Mac Cao Luong Ta Thai Quach",
        "{n} Nguyen Hue|{n} Le Loi, Quan 1|{n}/4 Hai Ba Trung|{n} Tran Hung Dao|{n} Ly Thuong Kiet|"
        "So {n} Pho Hue|{n} Dien Bien Phu",
        "Ha Noi|Hai Phong|Da Nang|Can Tho|Nha Trang|Vinh|Hue|Da Lat|Quy Nhon|Vung Tau|Bien Hoa|"
        "Nam Dinh|Thai Nguyen|Rach Gia|My Tho|Buon Ma Thuot", "######"),
    Culture("ES", "es",
        "Iñaki Rocío Gonzalo Montserrat Álvaro Begoña Nuria Joaquín Pilar Ignacio Consuelo Jordi "
        "Mercè Fermín Lourdes Aitor Marisol Rubén Encarna Óscar Leire Raúl Inmaculada Pau",
        "Echeverría Ibáñez Carrasco Montero Lozano Cabrera Domínguez Puig Otero Vidal Gallego Rojas "
        "Crespo Sáez Aguirre Bravo Marín Soler Pascual Ferrer Quintana Redondo Zabala Hidalgo",
        "C/ Mayor, {n}|Calle de Alcalá {n}, 3º B|Avda. de la Constitución {n}|Pza. España {n}|"
        "Paseo de Gracia, {n}|Camino Viejo s/n, {n}|Ronda Sur {n} bajo|Carrer de Balmes {n}",
        "Burgos|Lugo|Cáceres|Huesca|Gijón|Reus|Jaén|Elche|Mérida|Zamora|Teruel|Girona|Lleida|Soria|"
        "Palencia|Toledo|Vigo|Getafe|Albacete|Cuenca", "#####"),
    Culture("HU", "en",
        "Zoltán Ágnes Gergő Réka Balázs Zsuzsanna Attila Eszter Ferenc Ildikó Bence Kinga Szabolcs "
        "Piroska Tamás Dóra Csaba Orsolya Miklós Boglárka Gábor Enikő Levente Tünde",
        "Szabó Kovács Horváth Tóth Varga Kiss Németh Farkas Balogh Papp Takács Juhász Lakatos "
        "Mészáros Oláh Simon Rácz Fekete Szilágyi Bíró Halász Gulyás Vörös Sipos",
        "Kossuth Lajos u. {n}.|Petőfi tér {n}|Rákóczi út {n}. 2/5|Dózsa György utca {n}|"
        "Ady Endre u. {n}/b|Szabadság tér {n}.",
        "Szeged|Pécs|Győr|Eger|Sopron|Miskolc|Debrecen|Kaposvár|Vác|Baja|Makó|Gyula|Tata|Ajka|"
        "Szolnok|Cegléd|Pápa|Siófok|Mohács|Komló", "####"),
    Culture("US", "en",
        "Latoya Brandon Shaniqua Cody Brittany Trevor Keisha Dustin Tiffany Marcus Kaylee Wyatt "
        "Jasmine Hunter Destiny Travis Mackenzie Darnell Savannah Chad Autumn Tyrone Paige Blake",
        "Washington Hawkins Delgado Boone Whitaker McAllister Kowalski Trujillo Pham O'Malley "
        "Jefferson Stubbs Vance Holloway Ortega Fitzgerald Rasmussen Tillman Becerra Calloway "
        "DuPont Strickland Yoder Hinojosa",
        "{n} Elm St|{n} W Main Street, Apt 4B|{n} County Road 12|{n} NE 45th Ave|PO Box {n}|"
        "{n} Magnolia Blvd Unit 7|{n} Old Mill Rd.|{n} S. Jefferson Dr|{n} Sunset Ct",
        "Boise|Tulsa|Akron|Fargo|Duluth|Yuma|Macon|Ocala|Provo|Salina|Laredo|Tacoma|Flint|Peoria|"
        "Lubbock|Cedar Rapids|Fort Wayne|Baton Rouge|Eau Claire|Las Cruces", "#####"),
    Culture("IN", "en",
        "Venkatesh Priyanka Raghav Sunita Arjun Lakshmi Manoj Kavitha Sandeep Deepika Harish Anjali "
        "Suresh Meenakshi Vikram Pooja Rajesh Shalini Gopal Nandini Ashok Swati Karthik Divya",
        "Iyer Chatterjee Reddy Banerjee Deshpande Nair Kulkarni Bhattacharya Menon Shetty Agarwal "
        "Choudhary Patil Mukherjee Joshi Pillai Rao Gupta Yadav Thakur Naidu Bose Hegde Saxena",
        "{n}, MG Road|H.No. {n}, Sector 14|{n}/2 Park Street|Flat {n}, Shanti Apartments|"
        "{n} Nehru Nagar|Door No {n}, Anna Salai|{n} Gandhi Marg",
        "Pune|Nagpur|Kochi|Mysuru|Indore|Bhopal|Patna|Surat|Vadodara|Jaipur|Kanpur|Madurai|Guntur|"
        "Nashik|Ranchi|Raipur|Salem|Ludhiana|Thane|Agra", "######"),
    Culture("BR", "pt",
        "Thiago Juliana Rafael Camila Gustavo Letícia Leandro Beatriz Rodrigo Larissa Vinícius "
        "Aparecida Caio Vanessa Anderson Luana Murilo Jussara Edson Tainá Wagner Priscila Diego Ivone",
        "Nascimento Cavalcanti Figueiredo Moraes Barbosa Teixeira Rezende Siqueira Fonseca Moreira "
        "Guimarães Pacheco Brandão Azevedo Queiroz Bittencourt Macedo Vasconcelos Lacerda Prado "
        "Assunção Xavier Bastos Freitas",
        "Rua das Acácias, {n}|Av. Paulista, {n} - apto 71|Travessa São José {n}|R. XV de Novembro, {n}|"
        "Alameda Santos {n}|Praça da Sé, {n}|Rod. BR-101 km {n}",
        "Campinas|Recife|Belém|Natal|Londrina|Joinville|Maringá|Uberaba|Niterói|Olinda|Santos|Bauru|"
        "Pelotas|Caruaru|Feira de Santana|Sobral|Macapá|Palmas|Ilhéus|Osasco", "#####-###"),
    Culture("PL", "pl",
        "Grzegorz Małgorzata Wojciech Agnieszka Zbigniew Bożena Krzysztof Halina Sławomir Jadwiga "
        "Łukasz Danuta Mirosław Wioletta Rafał Grażyna Bartosz Iwona Szymon Kinga Paweł Beata",
        "Wiśniewski Zawadzka Szczepański Kaczmarek Gajewska Pietrzak Mazurek Jabłoński Wróbel "
        "Sadowska Duda Czarnecki Borkowska Witkowski Sikora Ostrowska Bąk Michalak Laskowska Kubiak "
        "Głowacki Urbaniak",
        "ul. Mickiewicza {n}/3|ul. Polna {n}|al. Jana Pawła II {n}|os. Zwycięstwa {n} m. 12|"
        "ul. 3 Maja {n}|pl. Wolności {n}|ul. Słowackiego {n}A",
        "Radom|Kielce|Olsztyn|Tarnów|Elbląg|Płock|Opole|Konin|Słupsk|Legnica|Zamość|Łomża|Rybnik|"
        "Gniezno|Sopot|Toruń|Piła|Chełm|Przemyśl|Suwałki", "##-###"),
    Culture("KE", "en",
        "Wanjiku Kamau Achieng Otieno Njeri Mwangi Chebet Kiprono Atieno Odhiambo Wambui Kipchoge "
        "Nyambura Omondi Jepkosgei Mutua Moraa Barasa Nekesa Wekesa Makena Kimani",
        "Kariuki Ochieng Njoroge Cheruiyot Wafula Onyango Gitau Koech Muthoni Mutiso Owino Ndung'u "
        "Rotich Maina Okoth Kibet Waweru Langat Nyaga Simiyu Gathogo Musyoka",
        "{n} Moi Avenue|{n} Kenyatta Ave|{n} Ngong Road|P.O. Box {n}|{n} Tom Mboya St|"
        "{n} Oginga Odinga Road|{n} Waiyaki Way",
        "Nairobi|Mombasa|Kisumu|Nakuru|Eldoret|Thika|Malindi|Kitale|Garissa|Nyeri|Machakos|Meru|"
        "Lamu|Naivasha|Kericho|Embu|Voi|Isiolo", "#####"),
    Culture("IT", "it",
        "Gianluca Ornella Michelangelo Donatella Massimo Loredana Emanuele Graziella Dario Mirella "
        "Fabrizio Ivana Tommaso Assunta Salvatore Fiorella Ettore Nicoletta Corrado Teresa Gino Lidia",
        "Esposito Caruso Gallo Fontana Rinaldi Moretti Barone Lombardi Mariani Testa Pellegrini "
        "Bianco Sartori Ferraro Guerra Coppola De\u00a0Santis Basile Montanari Grassi Parisi Villa "
        "Martinelli Serra",
        "Via Garibaldi {n}|Viale dei Mille, {n}|Corso Italia {n}/A|Piazza Dante {n}|"
        "Vicolo Stretto, {n}|Via XX Settembre n. {n}|Strada Provinciale {n}",
        "Cuneo|Lecce|Siena|Pordenone|Trapani|Avellino|Rieti|Novara|Foggia|Rovigo|Matera|Asti|"
        "Viterbo|Terni|Lodi|Enna|Savona|Ascoli Piceno|Chieti|Belluno", "#####"),
    Culture("KR", "en",
        "Ji-woo Min-jun Seo-yeon Hye-jin Dong-hyun Soo-min Young-ho Eun-ji Sung-min Ha-eun Jae-won "
        "Yu-na Hyun-woo Mi-kyung Tae-yang Bo-ram Kyung-soo Na-young Jin-ho Ye-rin",
        "Kim Lee Park Choi Jung Kang Cho Yoon Jang Lim Han Oh Seo Shin Kwon Hwang Ahn Song Yoo Hong "
        "Jeon Moon Bae Noh",
        "{n} Teheran-ro|{n}-3 Sejong-daero|{n} Gangnam-daero|{n} Hanbat-daero 12beon-gil|"
        "{n} Jungang-ro|{n} Dongdaemun-gu Wangsan-ro",
        "Busan|Daegu|Incheon|Gwangju|Daejeon|Ulsan|Suwon|Jeonju|Cheongju|Pohang|Gimhae|Andong|"
        "Mokpo|Sokcho|Gunsan|Chuncheon|Yeosu|Gumi", "#####"),
    Culture("SE", "sv",
        "Göran Birgitta Håkan Gunilla Torbjörn Ulrika Fredrik Åsa Mattias Kerstin Jörgen Linnéa "
        "Staffan Solveig Rickard Ingegerd Pontus Ebba Kjell Lovisa Anders Elin",
        "Lindqvist Bergström Hedlund Nyström Sandberg Åkesson Björklund Wallin Ekström Forsberg "
        "Holmgren Sjöberg Norberg Dahlberg Palmqvist Engström Öberg Strand Blom Hellström Lund Fransson",
        "Storgatan {n}|Kungsgatan {n} B|Björkvägen {n}|Norra Hamngatan {n}|Sveavägen {n}, 3 tr|"
        "Strandpromenaden {n}|Vasagränd {n}",
        "Umeå|Gävle|Borås|Kalmar|Falun|Visby|Luleå|Skövde|Växjö|Ystad|Sundsvall|Kiruna|Motala|Lund|"
        "Eskilstuna|Karlstad|Arvika|Halmstad|Mora|Nyköping", "### ##"),
    Culture("EG", "en",
        "Mahmoud Fatma Khaled Nourhan Mostafa Heba Tarek Mona Sherif Yasmin Hossam Rania Amr Dalia "
        "Walid Samira Ashraf Nadia Karim Salma Adel Ghada Hany Marwa",
        "El-Sayed Hassan Abdelrahman Mansour Farouk Soliman Ragab Ibrahim Shaheen Zaki Abdallah "
        "Gamal Fouad Khalil Nassar Elmasry Saad Moussa Badawi Sabry Tawfik Hegazy Osman Naguib",
        "{n} Tahrir Street|{n} Nile Corniche|{n} El Haram St.|Villa {n}, Maadi|"
        "{n} Port Said Street|{n} Salah Salem Road",
        "Cairo|Giza|Aswan|Luxor|Tanta|Suez|Ismailia|Zagazig|Damietta|Sohag|Qena|Minya|Asyut|"
        "Hurghada|Faiyum|Mansoura|Damanhur", "#####"),
    Culture("GB", "en",
        "Alistair Gemma Nigel Imogen Callum Siobhan Rhys Poppy Hamish Bronwyn Graham Tamsin Declan "
        "Philippa Gareth Fiona Barnaby Morwenna Trevor Beverley Ewan Harriet Kieran Jemima",
        "Ashworth Pritchard MacLeod Featherstone Hargreaves Blackwood Llewellyn Oakley Sutcliffe "
        "Entwistle Trevithick Gallacher Cartwright Bairstow Penrose Winterbottom Fairclough "
        "O'Rourke Birtwistle Dunstan Copley Thackeray Lyle Moffat",
        "{n} Victoria Road|Flat 3, {n} High Street|{n} The Crescent|{n} Church Lane|"
        "Rose Cottage, {n} Mill Lane|{n}B Station Approach|{n} Queens Gardens",
        "Truro|Hexham|Whitby|Oban|Kendal|Ludlow|Leominster|Wrexham|Stirling|Dudley|Bolton|Oldham|"
        "Stoke-on-Trent|King's Lynn|Bury St Edmunds|Hove|Ely|Deal|Rugby", "@@# #@@"),
)  # fmt: skip

TRADES = (
    "nurse|electrician|plumber|teacher|accountant|software engineer|bus driver|chef|midwife|"
    "paralegal|dentist|warehouse operative|sales assistant|farmer|architect|pharmacist|"
    "hairdresser|civil servant|translator|welder|carpenter|journalist|police officer|cashier"
).split("|")
ILLNESSES = (
    "type 2 diabetes|asthma|essential hypertension|migraine|hypothyroidism|COPD|depression|"
    "atrial fibrillation|osteoarthritis|epilepsy|psoriasis|breast cancer|chronic kidney disease|"
    "anemia|gout|hepatitis B|schizophrenia|multiple sclerosis|HIV infection|pneumonia"
).split("|")
FAITHS = "catholic|protestant|muslim|hindu|jewish|buddhist|sikh|orthodox|none|atheist".split("|")
PEOPLES = "White|Black|Asian|Hispanic|Mixed|Native American|Pacific Islander|Other".split("|")
NATIONS = (
    "German|French|Polish|Indian|Brazilian|Nigerian|Spanish|Turkish|Italian|Swedish|Dutch|Kenyan|"
    "Irish|Greek|Romanian"
).split("|")
COUNTRIES = (
    "Germany|France|Kenya|Brazil|India|Poland|Spain|Sweden|Nigeria|Italy|Japan|Mexico|Turkey|"
    "Vietnam|Egypt|Hungary|United States|United Kingdom|Netherlands|Portugal"
).split("|")
MARITAL = "single|married|divorced|widowed|separated|registered partnership".split("|")
ADJECTIVES = (
    "swift quiet amber brave lunar iron velvet rapid solar misty crimson gentle hollow polar rustic "
    "silver thorny vivid woven zesty"
).split()
THINGS = (
    "lamp kettle stapler router bracket hinge sofa blender compass lantern spanner mattress carpet "
    "tripod helmet drill backpack speaker monitor teapot bench wardrobe"
).split()
MAKERS = (
    "Bosch|Miele|Hugo Boss|Calvin Klein|Laura Ashley|Ralph Lauren|Marc Jacobs|Paul Smith|Dr. Martens|"
    "Jack Wolfskin|Ted Baker|Estée Lauder|Tom Tailor|Philips|Makita|Stanley|Siemens|Kenwood"
).split("|")
FIRMS = (
    "Northwind Traders|Petersen & Söhne GmbH|Okafor Logistics Ltd|Blue Harbor LLC|Martin SA|"
    "Hansen Shipping AS|Gallo S.r.l.|Kim Electronics Co.|Sunrise Foods Inc.|Dupont et Fils|"
    "Vega Consulting|Rossi Impianti SpA|Nordlicht AG|Acme Corp|Banerjee Textiles Pvt Ltd|"
    "Lindqvist Bygg AB|Delta Pharma|Green Valley Co-op"
).split("|")
